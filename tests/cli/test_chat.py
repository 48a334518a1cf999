from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE

import pytest

from tests.cli.conftest import Called, Typed
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.until import until
from trunkline.v1 import chat_pb2, credits_pb2
from trunkline_server.cli.bill import note


async def test_streams_the_answer_and_tells_the_bill(called: Called) -> None:
    result = await called("chat", "hello there")
    assert result.exit_code == 0
    assert result.stdout == "hello there\n"
    assert result.stderr.startswith("sandbox/echo, 2 input + 2 output tokens, 0.000006 credits, cmpl_")
    assert result.stderr.count("\n") == 1


async def test_in_one_piece(called: Called) -> None:
    result = await called("chat", "--no-stream", "hello there")
    assert result.stdout == "hello there\n"
    assert "2 input + 2 output tokens, 0.000006 credits" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("-",)])
async def test_reads_stdin(called: Called, arguments: tuple[str, ...]) -> None:
    result = await called("chat", *arguments, stdin="größer ☃\n")
    assert result.stdout == "größer ☃\n"


async def test_json_is_each_event(called: Called) -> None:
    result = await called("chat", "--json", "hi")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert "started" in events[0]
    assert events[-1]["completed"]["charge"] == {"unit": "CREDIT", "nanos": "3000"}
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))
    assert result.stderr == ""


async def test_json_in_one_piece_is_the_completion(called: Called) -> None:
    result = await called("chat", "--json", "--no-stream", "hi")
    completion = json.loads(result.stdout)
    assert completion["candidates"][0]["message"]["parts"] == [{"text": {"text": "hi"}}]
    assert result.stdout.count("\n") == 1


async def test_what_is_asked_arrives(called: Called, gateway: RunningGateway) -> None:
    result = await called("chat", "--model", "sandbox/lorem", "--user", "ann", "--max-output-tokens", "3", "hi")
    assert result.stdout == "lorem ipsum dolor\n"
    assert result.stderr.rstrip().endswith("ended by max_output_tokens")
    balance = await gateway.credits.GetBalance(
        credits_pb2.GetBalanceRequest(user_id="ann"), metadata=gateway.metadata()
    )
    assert balance.account.balance.nanos < 100 * 10**9


async def test_instructions_are_input_too(called: Called) -> None:
    plain, instructed = [await called("chat", *more, "hi") for more in ((), ("--system", "be kind and short"))]
    assert "1 input" in plain.stderr
    assert "1 input" not in instructed.stderr


async def test_an_answer_that_breaks_off_is_told_after_what_came(called: Called) -> None:
    result = await called("chat", "--model", "sandbox/cut", "hi")
    assert result.exit_code == 1
    assert result.stdout.endswith("\n")
    assert result.stderr.startswith("trunkline: STREAM_INTERRUPTED: ")
    assert "sandbox/cut failed (INTERRUPTED)" in result.stderr
    assert "was charged 0.0000" in result.stderr


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
async def test_a_refusal_is_one_line(called: Called, stream: str) -> None:
    result = await called("chat", stream, "--model", "sandbox/nothing-of-this-name", "hi")
    assert result.exit_code == 1
    assert result.stdout == ""
    told = "MODEL_NOT_FOUND: model 'sandbox/nothing-of-this-name' does not exist; see `trunkline models list`"
    assert result.stderr == f"trunkline: {told}\n"


async def test_when_to_try_again(called: Called) -> None:
    result = await called("chat", "--model", "sandbox/throttled", "hi")
    assert result.exit_code == 1
    assert result.stderr.startswith("trunkline: PROVIDERS_EXHAUSTED: ")
    assert "try again in" in result.stderr


async def test_a_field_that_is_wrong_is_named(called: Called) -> None:
    result = await called("chat", "--model", "no model", "hi")
    assert result.stderr.startswith("trunkline: VALIDATION: input.model: ")
    assert result.stderr.count("input.model") == 1


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "told"),
    [
        (["  "], "", 2, "the prompt is empty"),
        ([], "", 2, "the prompt is empty"),
        (["\udcff"], "", 2, "not UTF-8"),
        ([], b"\xff", 2, "not UTF-8"),
        (["--user", "jörg", "hi"], "", 2, "--user"),
    ],
)
async def test_mistakes_are_told(
    called: Called, arguments: list[str], stdin: str | bytes, code: int, told: str
) -> None:
    result = await called("chat", *arguments, stdin=stdin)
    assert result.exit_code == code
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_a_gateway_says_how_to_start_one(typed: Typed) -> None:
    result = typed("chat", "--address", "127.0.0.1:1", "--key", "k", "hi")
    assert result.exit_code == 1
    assert result.stderr.startswith("trunkline: no gateway answers at 127.0.0.1:1; start one with `trunkline serve`")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
async def test_ctrl_c_stops_the_call_and_ends_quietly(gateway: RunningGateway, stream: str) -> None:
    given = {"TRUNKLINE_ADDRESS": gateway.house.grpc_address, "TRUNKLINE_API_KEY": gateway.key}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trunkline_server", "chat", "--json", stream, "--model", "sandbox/stall", "hi"),
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ | given,
    )
    await _until_live(gateway, 1)
    child.send_signal(signal.SIGINT)
    _, stderr = await child.communicate()
    assert (child.returncode, stderr) == (130, b"")
    await _until_live(gateway, 0)


async def _until_live(gateway: RunningGateway, count: int) -> None:
    await until(lambda: len(gateway.house.gateway.live) == count)


def test_unknown_events_are_skipped() -> None:
    bill = chat_pb2.Completion()
    note(bill, chat_pb2.ChatEvent(sequence=7))
    assert bill == chat_pb2.Completion()
