"""Webhooks of providers: whether one is really theirs, and what it is about.

Standard Webhooks where they use it; else `X-AI-Signature: sha256=<hex>`, an HMAC over `X-AI-Timestamp`, a dot, and the
body.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.webhook import SECRET_PREFIX, TOLERANCE_S, is_signed, key_of

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")

Header = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Told:
    """`operation_id` is what the provider calls the work; empty where it does not say."""

    webhook_id: str
    type: str
    operation_id: str


class _Body(msgspec.Struct):
    type: object = None
    event: object = None
    status: object = None
    id: object = None
    request_id: object = None
    data: object = None


def check_secret(secret: str) -> None:
    """Raises ValueError where it says to be one of Standard Webhooks, and is none."""
    if secret.startswith(SECRET_PREFIX):
        key_of(secret)


def read(header: Header, body: bytes, secret: str, now_s: float) -> Told:
    """Raises AUTH_INVALID where it is not signed with the secret, or not of now, and MALFORMED_MESSAGE."""
    standard = bool(header("webhook-signature"))
    stamp = header("webhook-timestamp" if standard else "x-ai-timestamp")
    stamp_s = check_stamp(stamp, now_s)
    webhook_id = header("webhook-id") if standard else hashlib.sha256(stamp.encode() + b"." + body).hexdigest()
    signed = _is_standard if standard else _is_plain
    if not signed(header, body, secret, webhook_id, stamp_s):
        raise refused()
    return told(webhook_id, body)


def check_stamp(stamp: str, now_s: float) -> int:
    """When it was signed. Raises AUTH_INVALID where that is not now."""
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and abs(now_s - int(stamp)) <= TOLERANCE_S):
        raise refused()
    return int(stamp)


def _is_standard(header: Header, body: bytes, secret: str, webhook_id: str, stamp_s: int) -> bool:
    try:
        return is_signed(secret, webhook_id, stamp_s, body, header("webhook-signature"))
    except ValueError:  # the secret is of the other kind
        return False


def _is_plain(header: Header, body: bytes, secret: str, _webhook_id: str, stamp_s: int) -> bool:
    right = "sha256=" + hmac.new(secret.encode(), b"%d.%b" % (stamp_s, body), hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), header("x-ai-signature").encode())


def told(webhook_id: str, body: bytes) -> Told:
    """What it is about, once it is believed. Raises AUTH_INVALID, MALFORMED_MESSAGE."""
    if not _PLAIN.fullmatch(webhook_id):
        raise refused()
    try:
        given = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TrunklineError(Reason.MALFORMED_MESSAGE, "the body is no JSON object") from None
    within = given.data.get("id") if isinstance(given.data, dict) else None
    return Told(
        webhook_id,
        _first(given.type, given.event, given.status),
        _first(within, given.request_id, given.id),
    )


def _first(*found: object) -> str:
    """The first that is a plain word."""
    return next((each for each in found if isinstance(each, str) and _PLAIN.fullmatch(each)), "")


def refused() -> TrunklineError:
    """Which part of it is wrong is nobody's business."""
    return TrunklineError(Reason.AUTH_INVALID, "the signature is not right, or too old")
