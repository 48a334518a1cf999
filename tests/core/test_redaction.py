"""What looks like a secret, or is called one, is not written down; everything else is, as it is."""

from __future__ import annotations

from uuid import UUID

import pytest

from trunkline_server.core import api_key, redaction
from trunkline_server.core.ids import spell
from trunkline_server.core.webhook import new_secret

SECRETS = [
    api_key.make("live").text,
    new_secret(),
    "sk-proj-abcdefghijklmnop1234",
    "gsk_abcdefghijklmnop1234",
    "AIzaSyA1234567890123456789012345678901",
    "AKIAABCDEFGHIJKLMNOP",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
@pytest.mark.parametrize("around", ["{}", "refused {} by it", '{{"request_id":"{}"}}', "url?a={}&b=1"])
def test_secrets_are_known_by_their_look(secret: str, around: str) -> None:
    told = around.format(secret)
    for cleaned in (redaction.text(told), redaction.lines(told.encode()).decode()):
        assert secret[8:] not in cleaned
        assert cleaned == around.format(redaction.HIDDEN)


@pytest.mark.parametrize(
    ("told", "cleaned"),
    [
        ("Authorization: Bearer some-opaque-token", "Authorization: Bearer ***"),
        ("postgresql://ada:swordfish@host/db", "postgresql://ada:***@host/db"),
        ("GET /v1?api_key=swordfish&model=m", "GET /v1?api_key=***&model=m"),
        ("GET /v1?key=swordfish HTTP/1.1", "GET /v1?key=*** HTTP/1.1"),
        ("password=swordfish", "password=***"),
    ],
)
def test_secrets_are_known_by_what_stands_before_them(told: str, cleaned: str) -> None:
    assert redaction.text(told) == cleaned


@pytest.mark.parametrize(
    "told",
    [
        "breaker.open name=openai/gpt-4o-mini",
        f"settlement.late completion={spell('cmpl', UUID(int=2**127))} reason=STORE_UNAVAILABLE",
        "http://127.0.0.1:4318/v1/traces",
        "events.untold count=12 reason=DEADLINE",
        "call.fault id=0123456789ab type=KeyError at=serve:12 < run:40",
        "Ödön said ***",
    ],
)
def test_everything_else_is_left_as_it_is(told: str) -> None:
    assert redaction.text(told) == told
    assert redaction.lines(told.encode()).decode() == told


def test_fields_are_judged_by_their_names() -> None:
    given = {"api_key": "x", "Authorization": "y", "input_tokens": 12, "provider": "openai", "seen": None}
    assert redaction.fields(given) == given | {"api_key": "***", "Authorization": "***"}
