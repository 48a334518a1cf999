"""The sandbox behind the real wire: each trouble ends in the failure that a real provider would cause."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.providers.sandbox import (
    BOTH_WAYS,
    Sandbox,
    ask,
    said,
)
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport


async def test_a_stream_keeps_the_pace(sandbox: Sandbox) -> None:
    await sandbox.say(ask(head_ms=500, first_token_ms=300, pace_ms=20))
    assert sandbox.clock.pauses == [0.5, 0.3, 0.02, 0.02]


async def test_a_whole_answer_takes_as_long(sandbox: Sandbox) -> None:
    await sandbox.say(ask("slow", stream=False))
    assert sandbox.clock.pauses == [2.6]


@pytest.mark.parametrize(
    ("script", "kind", "before"),
    [
        ({"head_ms": 86_400_000}, FailureKind.AMBIGUOUS, ""),
        ({"stall_after": 0}, FailureKind.TIMEOUT_IDLE, ""),
        ({"first_token_ms": 300_000}, FailureKind.TIMEOUT_IDLE, ""),
        ({"stall_after": 2}, FailureKind.TIMEOUT_IDLE, "one two"),
    ],
)
async def test_silence_ends_with_the_patience_of_the_client(
    sandbox: Sandbox, script: dict[str, Any], kind: FailureKind, before: str
) -> None:
    failure = await sandbox.fail(ask(**script))
    assert (failure.kind, failure.__notes__) == (kind, [before])
    assert sandbox.clock.pauses == [300.0]


@BOTH_WAYS
async def test_cancelling_a_stalled_call_returns_at_once(stream: bool) -> None:
    stalled = asyncio.Event()

    async def sleep(pause_s: float) -> None:
        if pause_s:
            stalled.set()
        await asyncio.sleep(pause_s)

    sandbox = Sandbox()
    sandbox.upstream = Upstream(SANDBOX, SandboxTransport(sleep=sleep))
    async with asyncio.timeout(5):
        call = asyncio.create_task(sandbox.say(ask("stall", stream=stream)))
        await stalled.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@BOTH_WAYS
@pytest.mark.parametrize(
    ("asked", "kind", "status"),
    [
        (ask("down"), FailureKind.TRANSIENT, 500),
        (ask("throttled"), FailureKind.THROTTLED, 429),
        (ask("overloaded"), FailureKind.THROTTLED, 529),
        (ask("missing"), FailureKind.MODEL_UNKNOWN, 404),
        (ask(status=400), FailureKind.INVALID, 400),
        (ask(status=401), FailureKind.AUTH, 401),
        (ask(status=403), FailureKind.AUTH, 403),
        (ask(status=503, retry_after="7"), FailureKind.THROTTLED, 503),
        (ask(status=429, code="insufficient_quota"), FailureKind.QUOTA, 429),
        (ask(status=400, code="context_length_exceeded"), FailureKind.CONTEXT_TOO_LONG, 400),
        (ask(redirect="http://169.254.169.254/"), FailureKind.BROKEN, 307),
        (ask(unreachable=True), FailureKind.NEVER_SENT, 0),
        (ask(n=17), FailureKind.INVALID, 400),
        (ask(tokens=-1), FailureKind.INVALID, 400),
        (ask(status=7), FailureKind.INVALID, 400),
        (ask(retry_after="1\r\nx: y"), FailureKind.INVALID, 400),
    ],
    ids=lambda value: json.dumps(value.options) + value.model if isinstance(value, Ask) else str(value),
)
async def test_failures_before_an_answer(
    sandbox: Sandbox, asked: Ask, kind: FailureKind, status: int, stream: bool
) -> None:
    asked.stream = stream
    failure = await sandbox.fail(asked)
    assert (failure.kind, failure.http_status) == (kind, status)


async def test_retry_after_is_told(sandbox: Sandbox) -> None:
    assert (await sandbox.fail(ask("throttled"))).retry_after_s == 1
    assert (await sandbox.fail(ask(status=429, retry_after="abc"))).retry_after_s is None


@BOTH_WAYS
@pytest.mark.parametrize("malformed", ["json", "types", "html", "utf8", "empty"])
async def test_malformed_bodies_are_broken(sandbox: Sandbox, malformed: str, stream: bool) -> None:
    assert (await sandbox.fail(ask(stream=stream, malformed=malformed))).kind == FailureKind.BROKEN


@pytest.mark.parametrize(
    ("asked", "kind", "before"),
    [
        (ask("cut"), FailureKind.INTERRUPTED, "lorem ipsum dolor"),
        (ask(cut_after=0), FailureKind.BROKEN, ""),
        (ask(reset_after=1), FailureKind.INTERRUPTED, "one"),
        (ask(reset_after=0), FailureKind.INTERRUPTED, ""),
        (ask(error_in_stream=2), FailureKind.TRANSIENT, "one two"),
        (ask(error_in_stream=3, code="rate_limit_exceeded"), FailureKind.THROTTLED, "one two three"),
        (ask(reset_after=1, cut_after=2), FailureKind.INTERRUPTED, "one"),
        (ask("broken"), FailureKind.BROKEN, ""),
    ],
)
async def test_failures_in_a_stream(sandbox: Sandbox, asked: Ask, kind: FailureKind, before: str) -> None:
    failure = await sandbox.fail(asked)
    assert (failure.kind, failure.__notes__) == (kind, [before])


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (ask("cut", stream=False), FailureKind.BROKEN),
        (ask(stream=False, reset_after=1), FailureKind.INTERRUPTED),
        (ask(stream=False, error_in_stream=1), FailureKind.TRANSIENT),
        (ask(stream=False, stall_after=1), FailureKind.TIMEOUT_IDLE),
    ],
)
async def test_failures_in_a_whole_answer(sandbox: Sandbox, asked: Ask, kind: FailureKind) -> None:
    assert (await sandbox.fail(asked)).kind == kind


@BOTH_WAYS
async def test_a_break_after_the_last_word_never_comes(sandbox: Sandbox, stream: bool) -> None:
    assert said(await sandbox.say(ask(stream=stream, cut_after=4))) == "one two three"


@BOTH_WAYS
async def test_large_bodies_are_whole_until_the_cap(stream: bool) -> None:
    sandbox = Sandbox(settings=ClientSettings(body_bytes_max=1 << 20))
    assert said(await sandbox.say(ask(stream=stream, big_body=900_000))) == "one two three"
    assert (await sandbox.fail(ask(stream=stream, big_body=1 << 20))).kind == FailureKind.BROKEN


@BOTH_WAYS
async def test_endless_goes_on_beyond_the_cap(stream: bool) -> None:
    sandbox = Sandbox(settings=ClientSettings(body_bytes_max=1 << 18))
    failure = await sandbox.fail(ask(stream=stream, cap=2, endless=True))
    assert failure.kind == FailureKind.BROKEN
    assert failure.__notes__[0].startswith("one two three and one two" if stream else "")


async def test_flaky_fails_once_for_each_question(sandbox: Sandbox) -> None:
    for _ in range(2):
        assert (await sandbox.fail(ask("flaky"))).kind == FailureKind.TRANSIENT
        assert said(await sandbox.say(ask("flaky"))) == "one two three"


async def test_a_key_heals_for_good(sandbox: Sandbox) -> None:
    script: dict[str, Any] = {"status": 503, "times": 2, "key": "test-1"}
    for text in ("a", "b"):
        assert (await sandbox.fail(ask(text=text, **script))).kind == FailureKind.TRANSIENT
    for text in ("c", "d", "e"):
        assert said(await sandbox.say(ask(text=text, **script))) == text
    assert (await sandbox.fail(ask(**{**script, "key": "test-2"}))).http_status == 503


@pytest.mark.parametrize(
    "trouble", [{"cut_after": 1}, {"malformed": "json"}, {"stall_after": 1}, {"unreachable": True}]
)
async def test_every_trouble_can_pass(sandbox: Sandbox, trouble: dict[str, Any]) -> None:
    await sandbox.fail(ask(times=1, **trouble))
    assert said(await sandbox.say(ask(times=1, **trouble))) == "one two three"
