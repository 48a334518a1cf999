"""Calls that move to another provider, over real sockets: what the caller notices, who is asked, who is paid."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from tests.fixtures.fleet import CHAIN, Fleet, StartFleet
from tests.fixtures.gateway import detail_of, text_of
from tests.fixtures.refusal import Refusal, refusal_of
from tests.fixtures.upstream import RESET, Answer, Received
from trunkline.v1 import chat_pb2, content_pb2, credits_pb2, errors_pb2, providers_pb2, usage_pb2
from trunkline_server.core import ids
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway.attempts import Plan
from trunkline_server.gateway.breakers import Outcome
from trunkline_server.gateway.budgets import RetryBudget

EXHAUSTED = Refusal("UNAVAILABLE", "PROVIDERS_EXHAUSTED")
OPEN = Refusal("UNAVAILABLE", "CIRCUIT_OPEN")


def told(completion: Any) -> list[tuple[str, str]]:
    return [(attempt.provider, attempt.failure_kind) for attempt in completion.attempts]


# What moves a call.


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, "TRANSIENT"), (429, "THROTTLED"), (401, "AUTH"), (402, "QUOTA"), (404, "MODEL_UNKNOWN")],
)
async def test_the_next_provider_answers_and_alone_is_paid(fleet: Fleet, status: int, kind: str) -> None:
    fleet.ships[0].down(status)
    completion = await fleet.complete()
    assert text_of(completion) == "by anthropic"
    assert (completion.provider, completion.model) == ("anthropic", "claude-haiku-4-5")
    assert told(completion) == [("openai", kind), ("anthropic", "")]
    assert fleet.asked == [1, 1, 0]
    assert completion.charge.nanos == fleet.charge(1)
    assert await fleet.books.charges() == [fleet.charge(1)]
    [row] = await fleet.books.usage()
    assert (row["provider"], row["model"], row["attempts"]) == ("anthropic", "claude-haiku-4-5", 2)
    await fleet.books.audit()


async def test_nonsense_moves_too(fleet: Fleet) -> None:
    fleet.ships[0].upstream.reply(b"<html>")
    assert told(await fleet.complete()) == [("openai", "BROKEN"), ("anthropic", "")]


async def test_no_connection_moves_too(fleet: Fleet) -> None:
    await fleet.ships[0].upstream.__aexit__()
    assert told(await fleet.complete()) == [("openai", "NEVER_SENT"), ("anthropic", "")]
    await fleet.ships[0].upstream.__aenter__()


async def test_a_stream_moves_before_its_first_word_and_nobody_notices(fleet: Fleet) -> None:
    upstream, dialect = fleet.ships[0].upstream, fleet.ships[0].dialect
    upstream.stream([dialect.opening(), RESET])
    fleet.ships[1].down()
    said = await fleet.listen()
    assert said.text == "by gemini"
    assert said.kinds.count("started") == 1
    assert said.events[0].started.provider == "gemini"
    assert [each for each, _ in told(said.completed)] == ["openai", "anthropic", "gemini"]
    assert await fleet.books.charges() == [fleet.charge(2)]


async def test_nothing_moves_after_the_first_word(fleet: Fleet) -> None:
    upstream, dialect = fleet.ships[0].upstream, fleet.ships[0].dialect
    pieces = dialect.stream("one ", "two ", "three")
    for cut in range(2, len(pieces)):
        upstream.stream([*pieces[:cut], RESET])
        said = await fleet.listen()
        assert said.error is not None
        assert refusal_of(said.error) == Refusal("UNAVAILABLE", "STREAM_INTERRUPTED")
        assert said.text == "".join(("one ", "two ", "three")[: cut - 1])
    assert fleet.asked[1:] == [0, 0]


async def test_a_first_word_that_does_not_come_leaves_time_for_the_others(fleet: Fleet) -> None:
    fleet.ships[0].upstream.hang()
    began = time.monotonic()
    said = await fleet.listen(timeout=4)
    assert said.text == "by anthropic"
    assert told(said.completed)[0] == ("openai", "TIMEOUT_FIRST_TOKEN")
    assert 1 < time.monotonic() - began < 3.5


async def test_a_whole_answer_that_does_not_come_leaves_time_for_the_others(fleet: Fleet) -> None:
    hanging = fleet.ships[0].upstream.hang()
    completion = await fleet.complete(timeout=6)
    assert told(completion) == [("openai", "TIMEOUT_FIRST_TOKEN"), ("anthropic", "")]
    await hanging.client_left()


async def test_where_nobody_else_can_be_asked_an_answer_may_take_all_the_time(fleet: Fleet) -> None:
    go = asyncio.Event()
    answer = fleet.ships[0].dialect.whole("at last", 2)
    fleet.ships[0].upstream.raw(go, fleet.ships[0].upstream.whole(json=answer).steps[0])
    for name in CHAIN[1:]:
        request = providers_pb2.OpenBreakerRequest(name=name)
        await fleet.gateway.providers.OpenBreaker(request, metadata=fleet.gateway.metadata())
    asyncio.get_running_loop().call_later(3, go.set)
    assert text_of(await fleet.complete(timeout=5)) == "at last"


async def test_where_the_budget_is_spent_the_first_error_is_told_and_callers_shall_not_repeat_it(fleet: Fleet) -> None:
    lines = fleet.gateway.house.gateway.admission.routes.lines
    lines.trunk("openai").budget.tokens = 0.0
    fleet.ships[0].down()
    error = await fleet.failed()
    assert refusal_of(error) == EXHAUSTED
    assert dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "-1"
    assert fleet.asked == [1, 0, 0]


async def test_a_candidate_that_takes_longer_than_what_is_left_is_not_asked(fleet: Fleet) -> None:
    lines = fleet.gateway.house.gateway.admission.routes.lines
    lines.line("anthropic", CHAIN[1].partition("/")[2]).latency.whole.add(500.0)
    fleet.ships[0].down()
    assert told(await fleet.complete(timeout=20)) == [("openai", "TRANSIENT"), ("gemini", "")]


async def test_of_candidates_that_fail_too_often_half_at_most_are_passed_over(fleet: Fleet) -> None:
    lines = fleet.gateway.house.gateway.admission.routes.lines
    for name in CHAIN:
        provider, _, model = name.partition("/")
        gate = lines.line(provider, model).gate
        for count in range(40):
            if (generation := gate.acquire()) is not None:
                gate.release(generation, Outcome.FAILURE if count % 2 else Outcome.SUCCESS)
        assert gate.fails_too_often
    for _ in range(3):
        assert told(await fleet.complete()) == [("openai", "CIRCUIT_OPEN"), ("anthropic", "")]
    assert fleet.asked == [0, 3, 0]


@pytest.mark.parametrize("status", [400, 422])
async def test_a_rejected_question_is_not_taken_elsewhere(fleet: Fleet, status: int) -> None:
    fleet.ships[0].down(status)
    assert refusal_of(await fleet.failed()) == Refusal("INVALID_ARGUMENT", "PROVIDER_REJECTED")
    assert fleet.asked == [1, 0, 0]


async def test_a_question_that_is_too_long_goes_only_where_there_is_more_room(fleet: Fleet) -> None:
    body = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
    fleet.ships[0].upstream.reply(status=400, json=body)
    completion = await fleet.complete()
    assert told(completion) == [("openai", "CONTEXT_TOO_LONG"), (completion.provider, "")]
    catalogue = fleet.gateway.house.gateway.admission.routes.catalogue
    first, other = (
        catalogue.find(*name.split("/")) for name in (CHAIN[0], f"{completion.provider}/{completion.model}")
    )
    assert first is not None
    assert other is not None
    assert other.context_window > first.context_window
    smaller = fleet.question(fallback_models=["openai/gpt-4"])
    fleet.ships[0].upstream.reply(status=400, json=body)
    assert refusal_of(await fleet.failed(smaller)) == Refusal("INVALID_ARGUMENT", "CONTEXT_TOO_LONG")


async def test_when_all_fail_each_is_told(fleet: Fleet) -> None:
    for ship, status in zip(fleet.ships, (500, 401, 503), strict=True):
        ship.upstream.reply(status=status)
    error = await fleet.failed()
    assert refusal_of(error) == EXHAUSTED
    failures = detail_of(error, errors_pb2.UpstreamFailures).failures
    kinds = [(each.provider, each.kind, each.http_status) for each in failures]
    assert kinds == [("openai", "TRANSIENT", 500), ("anthropic", "AUTH", 401), ("gemini", "TRANSIENT", 503)]
    assert fleet.asked == [1, 1, 1]
    assert await fleet.books.charges() == []
    await fleet.books.audit()


async def test_no_more_attempts_than_the_call_wants(fleet: Fleet) -> None:
    for ship in fleet.ships:
        ship.down()
    assert refusal_of(await fleet.failed(fleet.question(max_attempts=1))) == EXHAUSTED
    assert fleet.asked == [1, 0, 0]
    assert refusal_of(await fleet.failed(fleet.question(max_attempts=2))) == EXHAUSTED
    assert fleet.asked == [2, 1, 0]


async def test_the_last_candidate_is_asked_again(fleet: Fleet) -> None:
    for ship in fleet.ships[:2]:
        ship.down()
    fleet.ships[2].upstream.reply(status=500)
    completion = await fleet.complete(fleet.question(max_attempts=4))
    assert [provider for provider, _ in told(completion)] == ["openai", "anthropic", "gemini", "gemini"]


async def test_an_unsafe_kind_of_call_never_runs_twice() -> None:
    ambiguous = UpstreamFailure(FailureKind.AMBIGUOUS)
    chat, unsafe = (
        Plan(4, RetryBudget(), RetryBudget(), made=1, is_idempotent=idempotent) for idempotent in (True, False)
    )
    assert (chat.may_move(ambiguous, 60), chat.pause_s(ambiguous, 60) is not None) == (True, True)
    assert (unsafe.may_move(ambiguous, 60), unsafe.pause_s(ambiguous, 60)) == (False, None)
    assert unsafe.may_move(UpstreamFailure(FailureKind.NEVER_SENT), 60)
    assert not chat.may_move(UpstreamFailure(FailureKind.NEVER_SENT), 0.5)


async def test_state_of_another_provider_is_left_out_with_a_warning(fleet: Fleet) -> None:
    fleet.ships[0].down()
    input = fleet.question()
    thought = content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="hm"))
    thought.provider_state.provider = "openai"
    thought.provider_state.data = b"secret"
    answer = content_pb2.Part(text=content_pb2.TextPart(text="yes"))
    input.messages.add(role=content_pb2.ROLE_ASSISTANT, parts=[thought, answer])
    input.messages.add(role=content_pb2.ROLE_USER, parts=[answer])
    completion = await fleet.complete(input)
    assert completion.provider == "anthropic"
    assert chat_pb2.WARNING_CODE_PROVIDER_STATE_DROPPED in [warning.code for warning in completion.warnings]
    assert b"secret" not in fleet.ships[1].upstream.requests[0].body


async def test_who_cannot_take_the_question_is_not_asked(start_fleet: StartFleet) -> None:
    chains = json.dumps({"cohere/command-a-03-2025": [CHAIN[0]], CHAIN[1]: ["cohere/command-a-03-2025"]})
    fleet = await start_fleet(routing={"chains": chains}, providers={"cohere__api_key": "k"})
    audio = content_pb2.Part(
        audio=content_pb2.AudioPart(blob=content_pb2.Blob(data=b"\0" * 64, media_type="audio/wav"))
    )
    input = fleet.question(CHAIN[1], fallback_models=["cohere/command-a-03-2025"])
    input.messages[0].parts.append(audio)
    error = await fleet.failed(input)
    assert refusal_of(error) == Refusal("INVALID_ARGUMENT", "CAPABILITY_UNSUPPORTED", "input.messages[0].parts[1]")
    assert "openai" in detail_of(error, error_details_pb2.ErrorInfo).metadata["providers"].split(",")
    assert fleet.asked == [0, 0, 0]
    assert await fleet.books.charges() == []
    input = fleet.question(CHAIN[1], fallback_models=[CHAIN[0]])
    input.messages[0].parts.append(audio)
    completion = await fleet.complete(input)
    assert told(completion) == [("anthropic", "CAPABILITY_UNSUPPORTED"), ("openai", "")]
    assert fleet.asked == [1, 0, 0]


async def test_what_cannot_be_asked_costs_nothing_and_goes_where_it_can(fleet: Fleet) -> None:
    input = fleet.question(CHAIN[1])
    input.strict_parameters = True
    input.sampling.seed = 7
    assert refusal_of(await fleet.failed(input)).reason == "PARAMETER_UNSUPPORTED"
    assert await fleet.books.charges() == []
    input.routing.fallback_models.append(CHAIN[0])
    assert told(await fleet.complete(input)) == [("anthropic", "PARAMETER_UNSUPPORTED"), ("openai", "")]
    assert fleet.asked == [1, 0, 0]


# Outages.


async def test_a_provider_that_fails_now_and_then_is_not_noticed(fleet: Fleet) -> None:
    fleet.ships[0].sick(every=3)
    completions: list[chat_pb2.Completion] = []
    for _ in range(6):
        completions += await asyncio.gather(*(fleet.complete(timeout=60) for _ in range(20)))
    assert len(completions) == 120
    moved = [each for each in completions if each.provider != "openai"]
    assert moved  # more than a third where the failures came in a row, and the breaker opened
    assert sum(fleet.asked) <= 120 * 1.5
    assert await fleet.books.held() == 0


async def test_a_provider_that_fails_in_every_way_now_and_then_is_not_noticed(fleet: Fleet) -> None:
    upstream, well = fleet.ships[0].upstream, fleet.ships[0].answer
    count = iter(range(10**9))

    def answer(asked: Received) -> Answer:
        ways = (upstream.whole(status=500), upstream.whole(status=429), Answer([RESET]), Answer([asyncio.Event()]))
        at = next(count)
        return ways[at // 3 % 4] if at % 3 == 0 else well(asked)

    upstream.respond(answer)
    unary = [fleet.complete(timeout=12) for _ in range(30)]
    streams = [fleet.listen(timeout=12) for _ in range(30)]
    completions, said = await asyncio.gather(asyncio.gather(*unary), asyncio.gather(*streams))
    assert all(text_of(completion).startswith("by ") for completion in completions)
    assert all(each.error is None and each.text.startswith("by ") for each in said)
    assert await fleet.books.held() == 0


async def test_an_outage_of_all_is_told_at_once_and_not_multiplied(fleet: Fleet) -> None:
    for ship in fleet.ships:
        ship.down()
    calls = 100
    refusals, took_s = [], []
    for _ in range(calls):
        began = time.monotonic()
        refusals.append(refusal_of(await fleet.failed()))
        took_s.append(time.monotonic() - began)
    assert set(refusals) == {EXHAUSTED, OPEN}
    assert refusals.index(OPEN) <= 6
    assert sum(fleet.asked) <= calls * 1.25
    assert sorted(took_s)[calls // 2] < 0.1
    error = await fleet.failed()
    assert detail_of(error, error_details_pb2.RetryInfo).retry_delay.seconds >= 1
    assert await fleet.books.charges() == []
    await fleet.books.audit()


async def test_a_sick_provider_gets_no_calls_and_is_found_again(fleet: Fleet) -> None:
    fleet.ships[0].down()
    for _ in range(8):
        assert (await fleet.complete()).provider == "anthropic"
    assert fleet.asked[0] == 5
    fleet.ships[0].well()
    gate = fleet.gateway.house.gateway.admission.routes.lines.gate(CHAIN[0])
    gate.opens_until_s = 0.0  # its time is over
    for _ in range(3):
        assert (await fleet.complete()).provider == "openai"
    assert gate.is_closed


async def test_a_candidate_that_was_passed_over_is_told(fleet: Fleet) -> None:
    await fleet.complete()
    request = providers_pb2.OpenBreakerRequest(name=CHAIN[0])
    await fleet.gateway.providers.OpenBreaker(request, metadata=fleet.gateway.metadata())
    assert told(await fleet.complete()) == [("openai", "CIRCUIT_OPEN"), ("anthropic", "")]
    error = await fleet.failed(fleet.question(allowed_providers=["openai"]))
    assert refusal_of(error) == OPEN
    assert fleet.asked == [1, 1, 0]


async def test_a_throttling_provider_is_asked_last_for_a_while(fleet: Fleet) -> None:
    fleet.ships[0].upstream.reply(status=429, headers={"retry-after": "60"})
    assert told(await fleet.complete()) == [("openai", "THROTTLED"), ("anthropic", "")]
    assert told(await fleet.complete()) == [("anthropic", "")]
    assert told(await fleet.complete(fleet.question(allowed_providers=["openai"]))) == [("openai", "")]


async def test_a_spent_account_is_not_asked_again(fleet: Fleet) -> None:
    fleet.ships[0].down(402)
    await fleet.complete()
    assert told(await fleet.complete()) == [("openai", "CIRCUIT_OPEN"), ("anthropic", "")]
    other = fleet.question("openai/gpt-4o", fallback_models=[CHAIN[2]])
    assert told(await fleet.complete(other)) == [("openai", "CIRCUIT_OPEN"), ("gemini", "")]
    assert fleet.asked == [1, 2, 1]


async def test_a_full_provider_is_not_waited_for(start_fleet: StartFleet) -> None:
    fleet = await start_fleet(routing={"provider_calls_max": 1})
    held = fleet.ships[0].upstream.hang()
    waiting = asyncio.create_task(fleet.complete())
    await held.asked()
    began = time.monotonic()
    assert told(await fleet.complete()) == [("openai", "OVERLOADED"), ("anthropic", "")]
    assert 0.2 < time.monotonic() - began < 2
    alone = fleet.question(allowed_providers=["openai"])
    assert refusal_of(await fleet.failed(alone)) == Refusal("UNAVAILABLE", "OVERLOADED")
    waiting.cancel()
    await asyncio.wait([waiting])
    await held.client_left()
    assert (await fleet.complete(alone)).provider == "openai"


async def test_callers_who_leave_do_not_open_a_breaker(fleet: Fleet) -> None:
    for _ in range(8):
        held = fleet.ships[0].upstream.hang()
        leaving = asyncio.create_task(fleet.complete())
        await held.asked()
        leaving.cancel()
        await asyncio.wait([leaving])
        await held.client_left()
    assert told(await fleet.complete()) == [("openai", "")]


async def test_an_attempt_has_its_own_time(fleet: Fleet) -> None:
    fleet.ships[0].upstream.hang()
    input = fleet.question(attempt_timeout=Duration(nanos=500_000_000))
    assert told(await fleet.complete(input))[0] == ("openai", "TIMEOUT_FIRST_TOKEN")


# Money.


async def _account(fleet: Fleet, provider: str, credits: int) -> None:
    request = credits_pb2.GrantCreditsRequest(
        user_id="ada",
        provider=provider,
        amount=usage_pb2.Amount(unit="CREDIT", nanos=credits),
        request_id=f"grant-{provider}",
    )
    await fleet.gateway.credits.GrantCredits(request, metadata=fleet.gateway.metadata())


async def _balance(fleet: Fleet, provider: str) -> int:
    request = credits_pb2.GetBalanceRequest(user_id="ada", provider=provider)
    response = await fleet.gateway.credits.GetBalance(request, metadata=fleet.gateway.metadata())
    return int(response.account.balance.nanos)


async def test_a_call_that_moves_is_charged_to_the_account_of_its_provider(fleet: Fleet) -> None:
    await _account(fleet, "anthropic", 10**9)
    shared = await _balance(fleet, "openai")
    fleet.ships[0].down()
    completion = await fleet.complete()
    assert completion.charge.nanos == fleet.charge(1)
    assert await _balance(fleet, "anthropic") == 10**9 - fleet.charge(1)
    assert await _balance(fleet, "openai") == shared
    holds = await fleet.books.holds()
    assert sorted(hold["state"] for hold in holds) == ["released", "settled"]
    admission, caller = fleet.gateway.house.gateway.admission, holds[0]["tenant_id"]
    completion_id = ids.parse("cmpl", completion.completion_id)
    assert completion_id is not None
    await admission._ledger.refund(caller, completion_id, fleet.charge(1), "back")
    assert await _balance(fleet, "anthropic") == 10**9
    await fleet.books.audit()


async def test_a_candidate_that_the_account_cannot_cover_is_passed_over(fleet: Fleet) -> None:
    await _account(fleet, "anthropic", 1)
    fleet.ships[0].down()
    completion = await fleet.complete()
    assert told(completion) == [("openai", "TRANSIENT"), ("anthropic", "CREDIT_INSUFFICIENT"), ("gemini", "")]
    assert fleet.asked == [1, 0, 1]
    completion = await fleet.complete(fleet.question(CHAIN[1], fallback_models=[CHAIN[2]]))
    assert told(completion) == [("anthropic", "CREDIT_INSUFFICIENT"), ("gemini", "")]
    alone = fleet.question(CHAIN[1])
    assert refusal_of(await fleet.failed(alone)) == Refusal("FAILED_PRECONDITION", "CREDIT_INSUFFICIENT")
    await fleet.books.audit()
