"""How long a provider asks to be left alone, in all the ways in which providers say so.

    retry-after-ms: 1500                          milliseconds
    retry-after: 1.5 | 2m30s | <HTTP date> | <RFC 3339 time>
    "Please try again in 3.89s", "retry in 48s"   in the text of an error
    x-ratelimit-reset-tokens: 6m0s                of a limit that is used up: a duration, a time, seconds, or
    x-ratelimit-reset: 1741305600000              (milli)seconds since 1970

Header names are in lower case. `now_s` is what times are compared with.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

PAUSE_S_MAX: Final = 86_400.0
"""What a provider says may be any number; callers are told a day at most."""
TEXT_CHARS_MAX: Final = 4096
MS_SINCE_1970: Final = 1e11
S_SINCE_1970: Final = 1e9
"""From there on a number is no count of seconds to wait, but a time."""

_UNITS_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PIECE: Final = r"\d{1,9}(?:\.\d{1,18})?(?:h|ms|us|µs|ns|m|s)"
_DURATION: Final = re.compile(rf"(?:{_PIECE}){{1,4}}")
_PIECES: Final = re.compile(r"(\d{1,9}(?:\.\d{1,18})?)(h|ms|us|µs|ns|m|s)")
_IN_TEXT: Final = re.compile(rf"\b(?:try again|retry) (?:in|after) ((?:{_PIECE}){{1,4}})", re.IGNORECASE)
_WORDY: Final = re.compile(
    r"\b(?:try again|retry) (?:in|after) (\d{1,6}(?:\.\d{1,9})?) (second|minute)s?\b", re.IGNORECASE
)
_LIMIT: Final = re.compile(r"((?:x|anthropic)-ratelimit-)(?:reset(.*)|(.+)-reset)")


def pause_s(headers: Mapping[str, str], status: int, text: str = "", now_s: float | None = None) -> float | None:
    """Seconds to wait before asking again, or None. More than a minute means a cool-down rather than a pause.

    Only read where the status says that something is wrong: some providers send the header with a good answer.
    """
    if status not in (408, 429) and not 500 <= status < 600:
        return None
    now_s = time.time() if now_s is None else now_s
    limits = _limits(headers, now_s) if status == 429 else ()
    told = (_ms(headers.get("retry-after-ms")), wait_s(headers.get("retry-after"), now_s), in_text(text))
    return next(filter(None, map(_usable, (*told, max(limits, default=None)))), None)


def in_text(text: str) -> float | None:
    """What a sentence asks for."""
    if found := _IN_TEXT.search(text, 0, TEXT_CHARS_MAX):
        return _usable(duration_s(found[1]))
    if found := _WORDY.search(text, 0, TEXT_CHARS_MAX):
        return _usable(float(found[1]) * (60 if found[2].lower() == "minute" else 1))
    return None


def wait_s(text: str | None, now_s: float) -> float | None:
    """A number, a duration, or the time from now until a moment; None of what cannot be read."""
    text = (text or "").strip()
    number = _number(text)
    if number is None:
        return duration_s(text) if _DURATION.fullmatch(text) else _until(text, now_s)
    if number >= MS_SINCE_1970:
        return number / 1000 - now_s
    return number - now_s if number >= S_SINCE_1970 else number


def duration_s(text: str) -> float | None:
    """As Go and protobuf spell it: `6m0s`, `17.4s`, `6ms`."""
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in _PIECES.findall(text))


def _limits(headers: Mapping[str, str], now_s: float) -> Iterator[float]:
    """When limits that are used up begin anew; some providers put other things there."""
    for name, value in headers.items():
        found = _LIMIT.fullmatch(name.lower())
        if found is not None and _is_used_up(headers, *found.groups()):
            limit_s = _usable(wait_s(value, now_s))
            if limit_s is not None:
                yield limit_s


def _is_used_up(headers: Mapping[str, str], front: str, behind: str | None, before: str | None) -> bool:
    """A limit that does not say what remains of it may be the one."""
    remaining = f"{front}{before}-remaining" if before else f"{front}remaining{behind}"
    return (_number(headers.get(remaining)) or 0.0) <= 0.0


def _usable(seconds: float | None) -> float | None:
    return min(seconds, PAUSE_S_MAX) if seconds is not None and seconds > 0 else None


def _ms(text: str | None) -> float | None:
    number = _number(text)
    return None if number is None else number / 1000


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _until(text: str, now_s: float) -> float | None:
    """An HTTP date, or RFC 3339."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return aware.timestamp() - now_s
        except (ValueError, OverflowError):
            continue
    return None
