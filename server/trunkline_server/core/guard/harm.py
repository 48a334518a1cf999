"""Harm that is known by its words: a coarse net of our own, beside the moderation models of providers.

`STANDARD` is asking for it in so many words. `STRICT` also takes words that are near to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from trunkline_server.core.guard.finders import PatternFinder
from trunkline_server.core.guard.span import Finder

_GAP: Final = r"[^.!?\n]{0,40}?"
_HOW: Final = (
    r"(?:how (?:do i|can i|could i|to)|ways? to|help me(?: to)?|teach me(?: how)? to|instructions (?:for|to)|steps to)"
)


def _finder(kind: str, pattern: str) -> PatternFinder:
    return PatternFinder(kind, re.compile(pattern, re.IGNORECASE), spans_words=True)


STANDARD: Final[Sequence[Finder]] = (
    _finder("SELF_HARM", rf"\b{_HOW} (?:kill|hurt|cut|hang|poison) (?:myself|yourself|himself|herself)\b"),
    _finder("SELF_HARM", rf"\b{_HOW} commit suicide\b|\bi (?:want|am going) to (?:kill myself|end my life)\b"),
    _finder("SELF_HARM", r"\b(?:go|you should) kill yourself\b"),
    _finder(
        "VIOLENCE",
        rf"\b{_HOW} (?:make|build|set off|detonate) (?:an? )?{_GAP}\b(?:bomb|explosives?|nerve agent|sarin)\b",
    ),
    _finder("VIOLENCE", rf"\b{_HOW} (?:kill|murder|poison|stab|shoot) (?:my|a|an|the|some|him|her|them)\b"),
    _finder(
        "VIOLENCE", r"\bi(?:'m| am| will|'ll)(?: going to| gonna)? (?:kill|murder|shoot|stab) (?:you|him|her|them)\b"
    ),
    _finder(
        "ILLICIT", rf"\b{_HOW} (?:cook|make|synthesi[sz]e) {_GAP}\b(?:crystal meth|meth|methamphetamine|fentanyl)\b"
    ),
    _finder("ILLICIT", rf"\b{_HOW} (?:write|build|make|spread) {_GAP}\b(?:ransomware|a keylogger|malware)\b"),
    _finder(
        "SEXUAL_MINORS",
        r"\b(?:nude|naked|sexual|erotic|explicit)(?: \w{1,20}){0,4}?"
        r" (?:child|children|minors?|underage|toddlers?|infants?)\b",
    ),
    _finder("SEXUAL_MINORS", r"\bchild (?:porn|pornography|sexual abuse material)\b"),
    _finder(
        "HATE",
        r"\b(?:kill|exterminate|gas|hang|deport) all (?:the )?"
        r"(?:jews|muslims|christians|blacks|whites|gays|immigrants)\b",
    ),
    _finder(
        "INJECTION",
        r"\b(?:ignore|disregard|forget)(?: all)?(?: of)?(?: the| your| my)?"
        r" (?:previous|prior|above|earlier|preceding) (?:instructions|prompts?|rules|directions)\b",
    ),
)
STRICT: Final[Sequence[Finder]] = (
    *STANDARD,
    _finder("SELF_HARM", r"\b(?:suicid(?:e|al)|self[- ]harm)\b"),
    _finder("VIOLENCE", r"\b(?:pipe bomb|mass shooting|behead(?:ing|ed)?|torture|massacre)\b"),
    _finder("SEXUAL", r"\b(?:porn(?:o|ography)?|blowjob|cumshot|gangbang|hentai)\b"),
    _finder("INJECTION", r"\b(?:jailbreak|developer mode|reveal(?: me)? your (?:system )?(?:prompt|instructions))\b"),
)
