"""What calls cost, over the socket: nobody spends more than they have, everybody pays for what they got, once, by the
price that counted when they asked, and the books add up.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.books import Books
from tests.fixtures.desk import Desk, heard
from tests.fixtures.dialects import DIALECTS, INPUT, charge_of
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of, question, reason_of, text_of
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, credits_pb2, errors_pb2, usage_pb2
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.model import configured_model
from trunkline_server.core.money import credits, to_decimal_text

INSUFFICIENT = Refusal("FAILED_PRECONDITION", "CREDIT_INSUFFICIENT")
CREDIT = 10**9
PER_INPUT, PER_OUTPUT = 1_000, 2_000
"""Nano-credits for a token of the sandbox's models; a word is a token."""


def _script(said: str, /, **lines: Any) -> chat_pb2.ChatInput:
    """A question to the sandbox with a script of its own."""
    return question(said, provider_options_json={"sandbox": json.dumps({"script": lines})})


async def _complete(
    gateway: RunningGateway, input: chat_pb2.ChatInput, user: str = "ada", **more: str
) -> chat_pb2.Completion:
    metadata = gateway.metadata(user, **more)
    return (await gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=metadata)).completion


async def _quote(gateway: RunningGateway, input: chat_pb2.ChatInput, user: str = "ada") -> chat_pb2.QuoteResponse:
    return await gateway.chat.Quote(chat_pb2.QuoteRequest(input=input), metadata=gateway.metadata(user))


async def _account(gateway: RunningGateway, user: str = "ada") -> credits_pb2.Account:
    request = credits_pb2.GetBalanceRequest()
    return (await gateway.credits.GetBalance(request, metadata=gateway.metadata(user))).account


async def _grant(gateway: RunningGateway, nanos: int, user: str = "ada", request_id: str = "grant-1") -> None:
    request = credits_pb2.GrantCreditsRequest(user_id=user, amount=credits(nanos), request_id=request_id)
    await gateway.credits.GrantCredits(request, metadata=gateway.metadata())


@pytest.fixture
async def poor(books: Books, start_gateway: StartGateway) -> RunningGateway:
    """A gateway whose users begin with nothing."""
    return await start_gateway(credits={"default_grant": "0"})


# Never more than there is.


async def test_of_64_calls_at_once_exactly_the_10_that_are_paid_for_get_through(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(DIALECTS[0].environment(upstream.url), credits={"default_grant": "0"})
    desk = Desk(gateway, upstream, books, DIALECTS[0])
    go = asyncio.Event()
    for _ in range(10):
        upstream.stream([go, json.dumps(desk.dialect.whole("fine", 1)).encode()], content_type="application/json")
    most_nanos = (await _quote(gateway, desk.question())).most.nanos
    await _grant(gateway, 10 * most_nanos)
    errors: list[grpc.aio.AioRpcError] = []
    calls = [asyncio.create_task(_refused_into(errors, desk)) for _ in range(64)]
    await until(lambda: len(errors) == 54)
    assert await books.held() == 10 * most_nanos
    go.set()
    assert Counter(await asyncio.gather(*calls)) == {"OK": 10, "FAILED_PRECONDITION": 54}
    for error in errors:
        assert refusal_of(error) == INSUFFICIENT
        [violation] = detail_of(error, error_details_pb2.QuotaFailure).violations
        assert to_decimal_text(most_nanos) in violation.description
        assert dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "-1"
    assert len(upstream.requests) == 10
    assert await books.charges() == [desk.charge(1)] * 10
    assert (await _account(gateway)).balance.nanos == 10 * most_nanos - 10 * desk.charge(1)


async def _refused_into(errors: list[grpc.aio.AioRpcError], desk: Desk) -> str:
    try:
        await desk.complete()
    except grpc.aio.AioRpcError as error:
        errors.append(error)
        return error.code().name
    return "OK"


async def test_two_replicas_spend_one_balance(books: Books, start_gateway: StartGateway) -> None:
    nothing = {"default_grant": "0"}
    replicas = [await start_gateway(credits=nothing), await start_gateway(credits=nothing)]
    input = _script("word", text="one two three")
    most_nanos = (await _quote(replicas[0], input)).most.nanos
    await _grant(replicas[0], most_nanos + 7 * PER_OUTPUT)
    outcomes = Counter(await asyncio.gather(*(refusal(_complete(replicas[number % 2], input)) for number in range(40))))
    assert set(outcomes) <= {Refusal("OK"), INSUFFICIENT}
    assert outcomes[Refusal("OK")] >= 1
    assert len(await books.charges()) == outcomes[Refusal("OK")]
    assert (await _account(replicas[1])).balance.nanos >= 0


async def test_one_nano_too_little_is_too_little(books: Books, poor: RunningGateway) -> None:
    input = question("word")
    most_nanos = (await _quote(poor, input)).most.nanos
    await _grant(poor, most_nanos - 1)
    assert await refusal(_complete(poor, input)) == INSUFFICIENT
    await _grant(poor, 1, request_id="grant-2")
    assert text_of(await _complete(poor, input)) == "word"


async def test_what_is_quoted_is_what_is_held(books: Books, gateway: RunningGateway) -> None:
    inputs = [
        question("word"),
        question("word " * 1000),
        question("word", sampling=chat_pb2.Sampling(max_output_tokens=17)),
        question("word", sampling=chat_pb2.Sampling(max_output_tokens=17, candidate_count=3)),
    ]
    for input in inputs:
        quoted = await _quote(gateway, input)
        completion = await _complete(gateway, input)
        hold = (await books.holds())[-1]
        assert quoted.allowed
        assert hold["amount"] == quoted.most.nanos
        assert hold["price_version"] == quoted.price_version == completion.price_version
        assert quoted.least.nanos <= quoted.most.nanos
        assert completion.charge.nanos <= quoted.most.nanos


async def test_a_quote_holds_and_charges_nothing_and_says_why_not(books: Books, poor: RunningGateway) -> None:
    quoted = await _quote(poor, question("word"))
    assert (quoted.allowed, quoted.denial_reason, quoted.available.nanos) == (False, "CREDIT_INSUFFICIENT", 0)
    assert await books.holds() == []
    assert await books.charges() == []


async def test_what_is_free_needs_no_balance(books: Books, poor: RunningGateway) -> None:
    completion = await _complete(poor, question("word", "sandbox/free"))
    assert completion.charge.nanos == 0
    assert (await books.usage())[0]["output_tokens"] == 1
    assert await refusal(_complete(poor, question("word"))) == INSUFFICIENT


async def test_a_suspended_account_is_refused(books: Books, gateway: RunningGateway) -> None:
    account_id = (await _account(gateway)).account_id
    request = credits_pb2.UpdateAccountRequest(account_id=account_id, suspended=True)
    await gateway.credits.UpdateAccount(request, metadata=gateway.metadata())
    suspended = Refusal("FAILED_PRECONDITION", "ACCOUNT_SUSPENDED")
    assert await refusal(_complete(gateway, question("word"))) == suspended
    assert (await _quote(gateway, question("word"))).denial_reason == "ACCOUNT_SUSPENDED"


# Whose money.


async def test_a_new_user_begins_with_the_default_grant(books: Books, gateway: RunningGateway) -> None:
    account = await _account(gateway, "newcomer")
    assert (account.balance.nanos, account.held.nanos, account.unlimited) == (100 * CREDIT, 0, False)
    request = credits_pb2.ListLedgerEntriesRequest(account_id=account.account_id)
    entries = (await gateway.credits.ListLedgerEntries(request, metadata=gateway.metadata())).entries
    assert [entry.amount.nanos for entry in entries] == [100 * CREDIT]


async def test_64_first_calls_at_once_are_granted_once(books: Books, gateway: RunningGateway) -> None:
    await asyncio.gather(*(_complete(gateway, question("word")) for _ in range(64)))
    account = await _account(gateway)
    assert account.balance.nanos == 100 * CREDIT - 64 * (PER_INPUT + PER_OUTPUT)


async def test_the_tenants_own_account_is_never_refused_and_metered_all_the_same(
    books: Books, gateway: RunningGateway
) -> None:
    completion = await _complete(gateway, question("one two three"), user="")
    assert completion.charge.nanos == 3 * PER_INPUT + 3 * PER_OUTPUT
    account = await _account(gateway, user="")
    assert account.unlimited
    assert not account.HasField("available")
    assert account.balance.nanos == -completion.charge.nanos
    assert await books.charges() == [completion.charge.nanos]
    assert [hold["state"] for hold in await books.holds()] == ["settled"]


async def test_an_account_can_be_named(books: Books, gateway: RunningGateway) -> None:
    account = await _account(gateway, "team")
    completion = await _complete(gateway, question("word"), **{"x-trunkline-account": account.account_id})
    assert (await _account(gateway, "team")).balance.nanos == 100 * CREDIT - completion.charge.nanos


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("acct_" + "0" * 32, Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")),
        ("acct_1", invalid("x-trunkline-account")),
        ("' OR '1'='1", invalid("x-trunkline-account")),
    ],
)
async def test_an_account_that_is_not_there(
    books: Books, gateway: RunningGateway, named: str, expected: Refusal
) -> None:
    assert await refusal(_complete(gateway, question("word"), **{"x-trunkline-account": named})) == expected


async def test_credits_kept_for_a_model_pay_for_that_model_alone(books: Books, poor: RunningGateway) -> None:
    request = credits_pb2.GrantCreditsRequest(
        user_id="ada", provider="sandbox", model="echo", amount=credits(CREDIT), request_id="g"
    )
    await poor.credits.GrantCredits(request, metadata=poor.metadata())
    assert text_of(await _complete(poor, question("word"))) == "word"
    assert await refusal(_complete(poor, question("word", "sandbox/lorem"))) == INSUFFICIENT


# Prices.


async def test_a_charge_can_be_computed_by_hand(books: Books, gateway: RunningGateway) -> None:
    completion = await _complete(gateway, _script("a b c d e", text="one two three"))
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (5, 3)
    assert completion.charge.nanos == 5 * PER_INPUT + 3 * PER_OUTPUT
    assert completion.cost == usage_pb2.Amount(unit="USD", nanos=completion.charge.nanos)


async def test_one_credit_may_be_another_amount_of_dollars(books: Books, start_gateway: StartGateway) -> None:
    gateway = await start_gateway(credits={"per_usd": "1.5"})
    completion = await _complete(gateway, question("word"))
    assert completion.cost.nanos == PER_INPUT + PER_OUTPUT
    assert completion.charge.nanos == (PER_INPUT + PER_OUTPUT) * 3 // 2


async def test_a_charge_is_rounded_up_once(books: Books, start_gateway: StartGateway, upstream: Upstream) -> None:
    model = {"name": "m", "input_price": "0.0001", "output_price": "0.0001"}
    own = {
        "TRUNKLINE_PROVIDERS__MINE__BASE_URL": upstream.url,
        "TRUNKLINE_PROVIDERS__MINE__MODELS": json.dumps([model]),
    }
    gateway = await start_gateway(own)
    upstream.reply(json=DIALECTS[0].whole("fine", 4))
    completion = await _complete(gateway, question("word", "mine/m"))
    assert completion.usage.output_tokens == 4
    assert completion.charge.nanos == 2  # 11 tokens of 0.1 nano


async def test_an_unknown_price_is_not_a_free_call(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(DIALECTS[0].environment(upstream.url))
    unpriced = question("word", "openai/nobody-knows-me")
    expected = Refusal("FAILED_PRECONDITION", "PRICE_UNKNOWN")
    assert await refusal(_complete(gateway, unpriced)) == expected
    assert await refusal(_quote(gateway, unpriced)) == expected
    assert upstream.requests == []
    assert await books.holds() == []


async def test_an_unknown_price_may_be_allowed_by_the_operator(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(DIALECTS[0].environment(upstream.url), chat={"unknown_price": "free"})
    upstream.reply(json=DIALECTS[0].whole("fine", 4))
    completion = await _complete(gateway, question("word", "openai/nobody-knows-me"))
    assert (completion.charge.nanos, completion.price_version) == (0, "")
    assert (await books.usage())[0]["output_tokens"] == 4


async def test_a_price_that_changes_during_a_call_does_not_count_for_it(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(DIALECTS[0].environment(upstream.url))
    desk = Desk(gateway, upstream, books, DIALECTS[0])
    go = asyncio.Event()
    answer = upstream.stream([go, json.dumps(desk.dialect.whole("fine", 1)).encode()], content_type="application/json")
    old_charge, running = desk.charge(1), asyncio.create_task(desk.complete())
    await answer.asked()
    dearer = configured_model("openai", desk.dialect.model, units={"input": 10**12, "output": 10**12})
    gateway.house.gateway.admission.routes.use(Catalogue([], [dearer]))
    go.set()
    completion = await running
    [hold] = await books.holds()
    assert completion.charge.nanos == old_charge
    assert completion.price_version == hold["price_version"] == (await books.usage())[0]["price_version"]
    upstream.reply(json=desk.dialect.whole("fine", 1))
    assert (await desk.complete()).charge.nanos == (INPUT + 1) * 10**6


# What providers report.


async def test_more_than_was_held_is_charged_as_overage(books: Books, poor: RunningGateway) -> None:
    input = _script("word", usage={"input_tokens": 1, "output_tokens": 1000})
    input.sampling.max_output_tokens = 10
    await _grant(poor, (await _quote(poor, input)).most.nanos)
    completion = await _complete(poor, input)
    assert completion.charge.nanos == PER_INPUT + 1000 * PER_OUTPUT
    assert await books.kinds() == ["settle", "overage"]
    assert sum(await books.charges()) == completion.charge.nanos
    assert (await _account(poor)).balance.nanos < 0
    assert await refusal(_complete(poor, input)) == INSUFFICIENT


@pytest.mark.parametrize("cap", [50, 0])
async def test_an_answer_without_end_is_cut_where_the_money_ends(books: Books, poor: RunningGateway, cap: int) -> None:
    """Told a cap or not: more than was held is never said, but for a word or two."""
    input = _script("word", endless=True)
    if cap:
        input.sampling.max_output_tokens = cap
    most_nanos = (await _quote(poor, input)).most.nanos
    await _grant(poor, most_nanos)
    said = await heard(poor.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=poor.metadata("ada")))
    assert said.completed.outcome == chat_pb2.OUTCOME_TRUNCATED
    assert said.completed.usage.output_tokens >= (cap or 4096)
    assert sum(await books.charges()) == said.completed.charge.nanos < most_nanos * 1.02 + 30 * PER_OUTPUT


async def test_negative_counts_are_none(books: Books, gateway: RunningGateway) -> None:
    input = _script("word", usage={"input_tokens": -5, "output_tokens": -7, "cached_input_tokens": -1})
    completion = await _complete(gateway, input)
    assert (completion.usage.input_tokens, completion.usage.output_tokens, completion.charge.nanos) == (0, 0, 0)


async def test_the_largest_count_there_is_breaks_no_books(books: Books, poor: RunningGateway) -> None:
    await _grant(poor, CREDIT)
    completion = await _complete(poor, _script("word", usage={"input_tokens": 2**53, "output_tokens": 2**53}))
    assert completion.charge.nanos == sum(await books.charges())


async def test_without_a_report_the_charge_is_an_estimate_and_says_so(books: Books, gateway: RunningGateway) -> None:
    completion = await _complete(gateway, _script("word", text="one two three", usage=None))
    assert completion.usage.source == usage_pb2.USAGE_SOURCE_ESTIMATED
    assert completion.charge.nanos > 0
    assert [warning.code for warning in completion.warnings] == [chat_pb2.WARNING_CODE_USAGE_ESTIMATED]
    assert (await books.usage())[0]["basis"] == "estimate"


async def test_a_streamed_charge_equals_a_whole_one(books: Books, gateway: RunningGateway) -> None:
    input = _script("a b c", text="one two three four")
    whole = await _complete(gateway, input)
    streamed = await heard(gateway.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=gateway.metadata("ada")))
    assert streamed.completed.charge == whole.charge
    assert streamed.completed.usage == whole.usage
    assert await books.charges() == [whole.charge.nanos] * 2


# Calls that end early.


async def test_a_cancelled_stream_costs_what_was_said_and_one_token_in_flight(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(DIALECTS[0].environment(upstream.url))
    desk = Desk(gateway, upstream, books, DIALECTS[0])
    for words in (1, 5, 40):
        answer = upstream.stream([desk.dialect.opening(), *[desk.dialect.delta("w ")] * words, asyncio.Event()])
        call, text = desk.stream(), ""
        while text.count("w") < words:
            text += (await call.read()).event.part_delta.text
        call.cancel()
        await answer.client_left()
        await until(lambda: _settled(books))
        charge = (await books.charges())[-1]
        [*_, usage] = await books.usage()
        assert usage["outcome"] == "OUTCOME_CANCELLED"
        assert abs(usage["output_tokens"] - words) <= 1
        assert charge == charge_of(gateway.house.gateway, desk.dialect, usage["output_tokens"], usage["input_tokens"])
        assert 0 < charge < (await books.holds())[-1]["amount"]


async def _settled(books: Books) -> bool:
    return all(hold["state"] != "held" for hold in await books.holds())


async def test_a_caller_who_leaves_while_credits_are_being_held_leaves_nothing_held(
    books: Books, gateway: RunningGateway
) -> None:
    for _ in range(20):
        call = gateway.chat.Complete(
            chat_pb2.CompleteRequest(input=_script("word", head_ms=60_000)), metadata=gateway.metadata("ada")
        )
        await asyncio.sleep(0)
        call.cancel()
    await until(lambda: _settled(books))


async def test_a_gateway_that_is_closed_under_a_running_call_writes_its_bill(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(DIALECTS[0].environment(upstream.url))
    desk = Desk(gateway, upstream, books, DIALECTS[0])
    upstream.stream([desk.dialect.opening(), desk.dialect.delta("word"), asyncio.Event()])
    call = desk.stream()
    assert (await call.read()).event.HasField("started")
    await gateway.house.server.stop(0)
    await gateway.house.gateway.drained()
    assert len(gateway.house.gateway.live) == 0
    await until(partial(_settled, books))  # the ledger was told; it writes what it was told even as it is closed
    assert len(await books.charges()) == 1


@pytest.mark.parametrize("ticks", range(6))
async def test_a_call_that_is_cancelled_again_while_it_ends_has_its_bill(
    books: Books, start_gateway: StartGateway, upstream: Upstream, ticks: int
) -> None:
    gateway = await start_gateway(DIALECTS[0].environment(upstream.url))
    desk = Desk(gateway, upstream, books, DIALECTS[0])
    upstream.stream([desk.dialect.opening(), desk.dialect.delta("word"), asyncio.Event()])
    call = desk.stream()
    assert (await call.read()).event.HasField("started")
    [live] = gateway.house.gateway.live._calls.values()
    live.task.cancel()
    for _ in range(ticks):
        await asyncio.sleep(0)
    live.task.cancel()
    await gateway.house.gateway.drained()
    await until(partial(_settled, books))
    assert len(await books.charges()) == 1


async def test_a_failed_call_costs_nothing(books: Books, gateway: RunningGateway) -> None:
    assert (await refusal(_complete(gateway, question("word", "sandbox/overloaded")))).code == "UNAVAILABLE"
    assert (await _account(gateway)).balance.nanos == 100 * CREDIT
    [usage] = await books.usage()
    assert (usage["charge_nanos"], usage["outcome"], usage["basis"]) == (0, "OUTCOME_FAILED", "none")
    assert [hold["state"] for hold in await books.holds()] == ["released"]


async def test_a_call_that_runs_out_of_time_pays_for_what_the_provider_did(
    books: Books, gateway: RunningGateway
) -> None:
    request = chat_pb2.StreamRequest(input=_script("word", text="one two three", stall_after=2))
    said = await heard(gateway.chat.Stream(request, metadata=gateway.metadata("ada"), timeout=0.6))
    assert said.error is not None
    assert said.error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: _settled(books))
    [charge] = await books.charges()
    assert 2 * PER_OUTPUT < charge < 10 * PER_OUTPUT + 100 * PER_INPUT


async def test_a_server_side_deadline_tells_the_bill(books: Books, start_gateway: StartGateway) -> None:
    gateway = await start_gateway(chat={"stream_timeout_s": "0.5"})
    request = chat_pb2.StreamRequest(input=_script("word", text="one two three", stall_after=2))
    said = await heard(gateway.chat.Stream(request, metadata=gateway.metadata("ada")))
    assert said.error is not None
    assert refusal_of(said.error) == Refusal("DEADLINE_EXCEEDED", "DEADLINE")
    partial = detail_of(said.error, errors_pb2.PartialResult)
    assert partial.last_sequence == said.events[-1].sequence
    assert await books.charges() == [partial.charge.nanos]


async def test_an_answer_that_is_repaired_costs_both_rounds(books: Books, gateway: RunningGateway) -> None:
    schema = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'
    output_format = {"json_schema": {"name": "a", "json_schema": schema}}
    completion = await _complete(gateway, question("word", "sandbox/json-wrong-once", output_format=output_format))
    assert await books.charges() == [completion.charge.nanos]
    assert len(completion.attempts) == 2
    assert completion.charge.nanos == (
        completion.usage.input_tokens * PER_INPUT + completion.usage.output_tokens * PER_OUTPUT
    )


async def test_a_repair_that_cannot_be_paid_costs_the_first_round_alone(books: Books, poor: RunningGateway) -> None:
    schema = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'
    input = question(
        "word", "sandbox/json-wrong-once", output_format={"json_schema": {"name": "a", "json_schema": schema}}
    )
    await _grant(poor, (await _quote(poor, input)).most.nanos)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _complete(poor, input)
    assert refusal_of(caught.value) == INSUFFICIENT
    partial = detail_of(caught.value, errors_pb2.PartialResult)
    assert await books.charges() == [partial.charge.nanos]
    assert (partial.usage.input_tokens, partial.usage.output_tokens) == (1, 1)


async def test_an_answer_that_stays_wrong_is_told_with_its_price(books: Books, gateway: RunningGateway) -> None:
    schema = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'
    output_format = {"json_schema": {"name": "a", "json_schema": schema}}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _complete(gateway, question("word", "sandbox/json-wrong", output_format=output_format))
    assert reason_of(caught.value) == "OUTPUT_INVALID"
    partial = detail_of(caught.value, errors_pb2.PartialResult)
    assert await books.charges() == [partial.charge.nanos]


async def test_many_questions_are_charged_one_by_one(books: Books, gateway: RunningGateway) -> None:
    inputs = [question("one"), question("one two"), question("x", "sandbox/overloaded"), question("one two three")]
    request = chat_pb2.CompleteManyRequest(inputs=inputs)
    call = gateway.chat.CompleteMany(request, metadata=gateway.metadata("ada"))
    results = (await call).results
    assert [result.WhichOneof("result") for result in results] == ["completion", "completion", "error", "completion"]
    charges = [result.completion.charge.nanos for result in results if result.HasField("completion")]
    assert sorted(await books.charges()) == sorted(charges)
    trailers = dict(await call.trailing_metadata())
    assert trailers["x-trunkline-charge"] == to_decimal_text(sum(charges))


# What is kept.


async def test_every_call_leaves_one_row_without_a_word_of_the_prompt(books: Books, gateway: RunningGateway) -> None:
    secret = "canary-prompt-text"
    completion = await _complete(gateway, question(secret, labels={"team": "blue"}))
    await refusal(_complete(gateway, question(secret, "sandbox/overloaded")))
    rows = await books.usage()
    assert [row["outcome"] for row in rows] == ["OUTCOME_COMPLETED", "OUTCOME_FAILED"]
    assert rows[0]["user_id"] == "ada"
    assert (rows[0]["charge_nanos"], rows[0]["cost_nano_usd"]) == (completion.charge.nanos, completion.cost.nanos)
    assert rows[0]["finish_reason"] == "FINISH_REASON_STOP"
    assert "blue" in str(rows[0]["labels"])
    assert secret not in str(rows)


async def test_the_bill_is_in_the_trailers_of_good_and_bad_calls(books: Books, gateway: RunningGateway) -> None:
    call = gateway.chat.Complete(chat_pb2.CompleteRequest(input=question("word")), metadata=gateway.metadata("ada"))
    charge = (await call).completion.charge.nanos
    assert dict(await call.trailing_metadata())["x-trunkline-charge"] == to_decimal_text(charge)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _complete(gateway, question("word", "sandbox/overloaded"))
    trailers = dict(caught.value.trailing_metadata() or ())
    assert trailers["x-trunkline-charge"] == "0"
    assert str(trailers["x-trunkline-completion-id"]).startswith("cmpl_")
