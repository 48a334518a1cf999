"""Standard Webhooks: our signatures are what the public library makes, and the schedule is the specification's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from trunkline_server.core.webhook import is_signed, key_of, new_secret, pause_s, signature


def test_signatures_are_those_of_the_public_library() -> None:
    secret, moment = new_secret(), datetime(2026, 3, 1, tzinfo=UTC)
    ours = signature(secret, "evt_1", int(moment.timestamp()), b'{"a": 1}')
    assert ours == Webhook(secret).sign("evt_1", moment, '{"a": 1}')


def test_the_example_of_the_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected


def test_one_right_signature_among_several_is_enough() -> None:
    secret = new_secret()
    right = signature(secret, "evt_1", 1, b"x")
    assert is_signed(secret, "evt_1", 1, b"x", f"v1a,abc {right}")
    assert not is_signed(secret, "evt_1", 2, b"x", right)
    assert not is_signed(secret, "evt_1", 1, b"x", "")


def test_secrets_have_32_bytes_and_differ() -> None:
    assert len(key_of(new_secret())) == 32
    assert new_secret() != new_secret()


def test_the_schedule() -> None:
    hours = 3600
    pauses = [pause_s(attempt, 0.5) for attempt in range(1, 11)]
    steps = [5, 300, 1800, 2 * hours, 5 * hours, 10 * hours, 14 * hours, 20 * hours, 24 * hours]
    assert pauses == pytest.approx([*steps, None])
    assert pause_s(1, 0.0) == pytest.approx(4.5)
    assert pause_s(1, 1.0) == pytest.approx(5.5)
