"""Rate limits as callers meet them: over the socket, in one process."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of, question, reason_of
from tests.fixtures.until import until
from trunkline.v1 import chat_pb2, limits_pb2

HOUR = Duration(seconds=3600)
REQUESTS, TOKENS = limits_pb2.LIMIT_UNIT_REQUESTS, limits_pb2.LIMIT_UNIT_TOKENS
CONCURRENCY = limits_pb2.LIMIT_UNIT_CONCURRENCY


async def set_limit(
    gateway: RunningGateway,
    amount: int,
    unit: limits_pb2.LimitUnit.ValueType = REQUESTS,
    selector: limits_pb2.LimitSelector | None = None,
    **fields: Any,
) -> limits_pb2.RateLimit:
    window = None if unit == CONCURRENCY else HOUR
    fields = {"name": "it", "window": window, **fields}
    limit = limits_pb2.RateLimit(unit=unit, amount=amount, selector=selector, **fields)
    request = limits_pb2.SetRateLimitRequest(rate_limit=limit)
    return (await gateway.limits.SetRateLimit(request, metadata=gateway.metadata())).rate_limit


async def ask(gateway: RunningGateway, user: str = "ann", model: str = "sandbox/echo", **fields: Any) -> dict[str, Any]:
    """The trailers of a call that gets through."""
    call = gateway.chat.Complete(
        chat_pb2.CompleteRequest(input=question("Hello", model, **fields)), metadata=gateway.metadata(user)
    )
    await call
    return dict(await call.trailing_metadata())


async def refused(gateway: RunningGateway, user: str = "ann", **fields: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ask(gateway, user, **fields)
    return error.value


async def quota(gateway: RunningGateway, user: str = "ann", **fields: str) -> limits_pb2.RateQuota:
    request = limits_pb2.GetQuotaRequest(user_id=user, **fields)
    [quota] = (await gateway.limits.GetQuota(request, metadata=gateway.metadata())).rate_quotas
    return quota


async def test_the_call_after_the_last_is_refused_with_what_helps(gateway: RunningGateway) -> None:
    await set_limit(gateway, 2)
    for _ in range(2):
        await ask(gateway)

    error = await refused(gateway)

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(error) == "RATE_LIMITED"
    [violation] = detail_of(error, error_details_pb2.QuotaFailure).violations
    assert (violation.subject, violation.description) == ("rate_limit:it", "0 of 2 requests are left")
    retry = detail_of(error, error_details_pb2.RetryInfo).retry_delay
    assert 1790 < retry.seconds <= 1800  # one of two is back after half of the window


async def test_trailers_say_what_is_left_on_success_and_on_failure(gateway: RunningGateway) -> None:
    await set_limit(gateway, 1)

    assert (await ask(gateway))["x-ratelimit-remaining"] == "requests=0"
    assert dict((await refused(gateway)).trailing_metadata() or ())["x-ratelimit-remaining"] == "requests=0"


async def test_without_a_limit_no_trailer_speaks_of_it(gateway: RunningGateway) -> None:
    assert "x-ratelimit-remaining" not in await ask(gateway)


@pytest.mark.parametrize(
    ("selector", "others"),
    [
        (limits_pb2.LimitSelector(user_id="ann"), {"user": "bob"}),
        (limits_pb2.LimitSelector(user_id="*"), {"user": "bob"}),
        (limits_pb2.LimitSelector(user_id="*", model="*"), {"model": "sandbox/slow"}),
        (limits_pb2.LimitSelector(model="echo"), {"model": "sandbox/slow"}),
        (limits_pb2.LimitSelector(team="red"), {"labels": {"team": "blue"}}),
    ],
)
async def test_a_selector_chooses_whose_calls_count(
    gateway: RunningGateway, selector: limits_pb2.LimitSelector, others: dict[str, Any]
) -> None:
    await set_limit(gateway, 1, selector=selector)
    await ask(gateway, labels={"team": "red"})

    assert reason_of(await refused(gateway, labels={"team": "red"})) == "RATE_LIMITED"
    await ask(gateway, **others)


async def test_tokens_are_taken_by_estimate_and_corrected_by_the_bill(gateway: RunningGateway) -> None:
    await set_limit(gateway, 100_000, TOKENS, algorithm=limits_pb2.LIMIT_ALGORITHM_FIXED_WINDOW)

    await ask(gateway)

    used = 100_000 - (await quota(gateway)).remaining
    assert 0 < used < 100  # the estimate was more than a thousand


async def test_a_call_larger_than_the_whole_limit_waits_until_all_of_it_is_there(gateway: RunningGateway) -> None:
    await set_limit(gateway, 10, TOKENS)

    await ask(gateway)

    assert reason_of(await refused(gateway)) == "RATE_LIMITED"


async def test_only_so_many_calls_run_at_once(gateway: RunningGateway) -> None:
    await set_limit(gateway, 1, CONCURRENCY)
    request = chat_pb2.StreamRequest(input=question("word " * 50, "sandbox/slow"))
    running = gateway.chat.Stream(request, metadata=gateway.metadata("ann"))
    await running.read()

    error = await refused(gateway)
    assert reason_of(error) == "CONCURRENCY_LIMITED"
    assert detail_of(error, error_details_pb2.RetryInfo).retry_delay.seconds <= 1

    running.cancel()

    async def is_free() -> bool:
        return (await quota(gateway)).remaining == 1

    await until(is_free)
    await ask(gateway)
    await ask(gateway)


async def test_a_call_refused_for_its_credits_does_not_count(gateway: RunningGateway) -> None:
    await set_limit(gateway, 5)
    too_dear = chat_pb2.ChatInput()
    too_dear.max_cost.unit, too_dear.max_cost.nanos = "CREDIT", 1

    assert reason_of(await refused(gateway, max_cost=too_dear.max_cost)) == "CREDIT_INSUFFICIENT"

    assert (await quota(gateway)).remaining == 5


async def test_a_provider_that_is_used_up_gives_way_to_the_next(gateway: RunningGateway) -> None:
    await set_limit(gateway, 1, selector=limits_pb2.LimitSelector(model="slow"))
    routing = chat_pb2.Routing(fallback_models=["sandbox/echo"])
    for _ in range(2):
        request = chat_pb2.CompleteRequest(input=question("Hi", "sandbox/slow", routing=routing))
        completion = (await gateway.chat.Complete(request, metadata=gateway.metadata("ann"))).completion

    assert completion.model == "echo"
    assert completion.attempts[0].failure_kind == "RATE_LIMITED"


async def test_a_changed_limit_counts_at_once_and_a_deleted_one_no_more(gateway: RunningGateway) -> None:
    await set_limit(gateway, 1)
    await ask(gateway)
    await refused(gateway)

    await set_limit(gateway, 10)
    await ask(gateway)

    await set_limit(gateway, 1)
    await gateway.limits.DeleteRateLimit(limits_pb2.DeleteRateLimitRequest(name="it"), metadata=gateway.metadata())
    await ask(gateway)


async def test_another_replica_hears_of_a_limit(start_gateway: StartGateway) -> None:
    one, other = await start_gateway(), await start_gateway()
    await set_limit(one, 1)

    async def listed() -> bool:
        request = limits_pb2.ListRateLimitsRequest()
        return bool((await other.limits.ListRateLimits(request, metadata=other.metadata())).rate_limits)

    await until(listed)


async def test_limits_are_listed_as_they_were_set(gateway: RunningGateway) -> None:
    sliding = limits_pb2.LIMIT_ALGORITHM_SLIDING_WINDOW
    put = [
        await set_limit(gateway, 1, name="a", algorithm=sliding, selector=limits_pb2.LimitSelector(user_id="*")),
        await set_limit(gateway, 2, CONCURRENCY, name="b"),
        await set_limit(gateway, 3, name="c", burst=7),
    ]
    listed: list[limits_pb2.RateLimit] = []
    token = ""
    for _ in range(3):
        request = limits_pb2.ListRateLimitsRequest(page_size=1, page_token=token)
        page = await gateway.limits.ListRateLimits(request, metadata=gateway.metadata())
        listed += page.rate_limits
        token = page.next_page_token

    assert (listed, token) == (put, "")


@pytest.mark.parametrize(
    "fields",
    [
        {"window": None},
        {"burst": 3, "algorithm": limits_pb2.LIMIT_ALGORITHM_FIXED_WINDOW},
        {"unit": CONCURRENCY, "window": HOUR},
        {"unit": CONCURRENCY, "burst": 2},
        {"name": "no space"},
        {"amount": 0},
        {"selector": limits_pb2.LimitSelector(user_id="\x00")},
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(gateway: RunningGateway, fields: dict[str, Any]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await set_limit(gateway, **{"amount": 1, **fields})

    assert reason_of(error.value) == "VALIDATION"


async def test_many_at_once_never_take_more_than_there_is(gateway: RunningGateway) -> None:
    await set_limit(gateway, 7)

    tries = await asyncio.gather(*(ask(gateway) for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(each, dict) for each in tries) == 7
