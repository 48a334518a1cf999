"""The lines that the documentation gives for verifying webhooks do that, and it names every type of event."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline_server.core.event import TYPES
from trunkline_server.core.webhook import new_secret, signature

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
SECRET, BODY = new_secret(), b'{"eventId":"evt_1"}'


@pytest.fixture
def verify() -> Callable[[str, dict[str, str], bytes], None]:
    (code,) = re.findall(r"```python\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)
    scope: dict[str, Callable[[str, dict[str, str], bytes], None]] = {}
    exec(code, scope)
    return scope["verify"]


def headers(age_s: int = 0, *, secret: str = SECRET) -> dict[str, str]:
    stamp = int(time.time()) - age_s
    signatures = f"{signature(new_secret(), 'evt_1', stamp, BODY)} {signature(secret, 'evt_1', stamp, BODY)}"
    return {"webhook-id": "evt_1", "webhook-timestamp": str(stamp), "webhook-signature": signatures}


def test_ours_are_taken(verify: Callable[[str, dict[str, str], bytes], None]) -> None:
    verify(SECRET, headers(), BODY)


def test_others_are_refused(verify: Callable[[str, dict[str, str], bytes], None]) -> None:
    for told, body in ((headers(3000), BODY), (headers(secret=new_secret()), BODY), (headers(), BODY + b" ")):
        with pytest.raises(ValueError, match=r"secret|old"):
            verify(SECRET, told, body)


def test_every_type_is_documented() -> None:
    rows = [line for line in (PAGE.parent / "events.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([A-Z]\w+)`", row.split("|")[1])}
    assert named == set(TYPES)
