"""What a look at one thing found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Verdict(StrEnum):
    """`BAD` must be mended before the gateway can work; a `NOTE` is for whoever wonders."""

    OK = "ok"
    NOTE = "note"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class Finding:
    """A thing, how it is, and what to do about it."""

    verdict: Verdict
    subject: str
    fact: str
    remedy: str = ""

    @classmethod
    def ok(cls, subject: str, fact: str) -> Self:
        return cls(Verdict.OK, subject, fact)

    @classmethod
    def note(cls, subject: str, fact: str, remedy: str = "") -> Self:
        return cls(Verdict.NOTE, subject, fact, remedy)

    @classmethod
    def bad(cls, subject: str, fact: str, remedy: str) -> Self:
        return cls(Verdict.BAD, subject, fact, remedy)
