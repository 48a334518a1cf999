"""What people ask of texts again and again: how it is asked, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, Literal, TypeAlias, TypeVar

from trunkline.amounts import of_credits, to_decimal
from trunkline.calling import whole
from trunkline.v1 import tasks_pb2

T = TypeVar("T")
Kind: TypeAlias = Literal["sentiment", "topic"]
Length: TypeAlias = Literal["short", "medium", "long"]
Style: TypeAlias = Literal["prose", "bullets", "headline"]
Formality: TypeAlias = Literal["formal", "informal"]
Credits: TypeAlias = Decimal | int | str
Labels: TypeAlias = Iterable[str] | Mapping[str, str]
"""Names, or names with what each means."""


@dataclass(frozen=True)
class Done(Generic[T]):
    """What came of a task, with the bill of all its calls."""

    value: T
    receipt: tasks_pb2.TaskReceipt

    def __str__(self) -> str:
        return str(self.value)

    @property
    def charge(self) -> Decimal:
        return to_decimal(self.receipt.charge)


@dataclass(frozen=True)
class Classified:
    """The best label, all that fit, and how well each does by the model's word."""

    label: str
    labels: tuple[str, ...]
    scores: Mapping[str, float]

    def __str__(self) -> str:
        return self.label

    @classmethod
    def of(cls, result: tasks_pb2.ClassifyResult) -> Classified:
        return cls(result.label, tuple(result.labels), {each.label: each.score for each in result.scores})


@dataclass(frozen=True)
class Code:
    """A program, without a fence around it, and what to know about it."""

    code: str
    explanation: str
    language: str

    def __str__(self) -> str:
        return self.code


def options_of(model: str, max_cost: Credits | None, also: tasks_pb2.TaskOptions | None) -> tasks_pb2.TaskOptions:
    most = None if max_cost is None else of_credits(max_cost)
    return whole(tasks_pb2.TaskOptions(model=model, max_cost=most), also)


def labels_of(labels: Labels) -> list[tasks_pb2.ClassLabel]:
    described = labels if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
    return [tasks_pb2.ClassLabel(name=name, description=meaning) for name, meaning in described.items()]


def kind_of(kind: Kind | None) -> tasks_pb2.ClassifyKind.ValueType:
    return tasks_pb2.ClassifyKind.Value(f"CLASSIFY_KIND_{(kind or 'labels').upper()}")


def length_of(length: Length | None) -> tasks_pb2.SummaryLength.ValueType:
    return tasks_pb2.SummaryLength.Value(f"SUMMARY_LENGTH_{(length or 'unspecified').upper()}")


def style_of(style: Style | None) -> tasks_pb2.SummaryStyle.ValueType:
    return tasks_pb2.SummaryStyle.Value(f"SUMMARY_STYLE_{(style or 'unspecified').upper()}")


def formality_of(formality: Formality | None) -> tasks_pb2.Formality.ValueType:
    return tasks_pb2.Formality.Value(f"FORMALITY_{(formality or 'unspecified').upper()}")


def glossary_of(glossary: Mapping[str, str]) -> list[tasks_pb2.GlossaryEntry]:
    return [tasks_pb2.GlossaryEntry(source=source, target=target) for source, target in glossary.items()]
