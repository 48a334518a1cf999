"""Finds a few plain words harmful, and every picture harmless."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from trunkline_server.providers.sandbox.embedding import words
from trunkline_server.providers.sandbox.script import Script
from trunkline_server.providers.sandbox.work import Made, Task, Workshop, input_usage, read

HARMS: Final[Mapping[str, frozenset[str]]] = {
    "harassment": frozenset({"idiot", "stupid", "loser"}),
    "hate": frozenset({"hate", "vermin"}),
    "self-harm": frozenset({"suicide"}),
    "sexual": frozenset({"porn", "sex"}),
    "violence": frozenset({"attack", "bomb", "kill", "murder"}),
}
SURE: Final = 0.9
UNLIKELY: Final = 0.01


class Part(msgspec.Struct, frozen=True):
    """A text, or a picture, which says nothing here."""

    type: str
    text: str = ""


class Question(Task, frozen=True, kw_only=True):
    """Texts, each judged on its own, or parts, judged together."""

    input: str | Annotated[list[str | Part], msgspec.Meta(min_length=1)]


def judgement(body: bytes, script: Script) -> Made:
    """The answer. A word is a token."""
    texts = _texts(read(Question, body))
    results = [_result(text) for text in texts]
    usage = input_usage(script, sum(len(text.split()) for text in texts))
    return Made({"model": "moderation", "results": results, **usage}, len(results))


def _texts(asked: Question) -> list[str]:
    if isinstance(asked.input, str):
        return [asked.input]
    plain = [each for each in asked.input if isinstance(each, str)]
    parts = [each.text for each in asked.input if isinstance(each, Part)]
    return [*plain, " ".join(parts)] if parts else plain


def _result(text: str) -> dict[str, object]:
    said = words(text)
    found = {harm: not said.isdisjoint(named) for harm, named in HARMS.items()}
    scores = {harm: SURE if there else UNLIKELY for harm, there in found.items()}
    return {"flagged": any(found.values()), "categories": found, "category_scores": scores}


MODERATION: Final = Workshop({"moderation": {}}, judgement)
