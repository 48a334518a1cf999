"""The response cache as callers meet it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.fixtures.desk import Heard, heard
from tests.fixtures.fleet import CHAIN, StartFleet
from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of, text_of
from tests.fixtures.until import until
from tests.fixtures.valkey import valkey_server, valkey_url
from trunkline.v1 import admin_pb2, chat_pb2, usage_pb2

__all__ = ["valkey_server", "valkey_url"]

USE, ONLY, REFRESH = chat_pb2.CACHE_MODE_USE, chat_pb2.CACHE_MODE_ONLY, chat_pb2.CACHE_MODE_REFRESH
MISS, HIT, STALE = chat_pb2.CACHE_STATUS_MISS, chat_pb2.CACHE_STATUS_HIT, chat_pb2.CACHE_STATUS_STALE


def asked(mode: chat_pb2.CacheMode.ValueType = USE, text: str = "Hello", **fields: Any) -> chat_pb2.ChatInput:
    policy = {name: fields.pop(name) for name in ("ttl", "allow_stale") if name in fields}
    model = fields.pop("model", "sandbox/echo")
    return question(text, model, cache=chat_pb2.CachePolicy(mode=mode, **policy), **fields)


async def ask(gateway: RunningGateway, input: chat_pb2.ChatInput, user: str = "ann", key: str = "") -> Any:
    """The completion and the trailer that tells of the cache."""
    call = gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=gateway.metadata(user, key))
    completion = (await call).completion
    return completion, dict(await call.trailing_metadata()).get("x-trunkline-cache")


async def listen(gateway: RunningGateway, input: chat_pb2.ChatInput) -> Heard:
    return await heard(gateway.chat.Stream(chat_pb2.StreamRequest(input=input), metadata=gateway.metadata("ann")))


async def stats(gateway: RunningGateway) -> list[tuple[int, int, int]]:
    answer = await gateway.admin.GetCacheStats(admin_pb2.GetCacheStatsRequest(), metadata=gateway.metadata())
    return [(each.hit_count, each.miss_count, each.entry_count) for each in answer.stats]


async def purge(gateway: RunningGateway, **fields: str) -> int:
    request = admin_pb2.PurgeCacheRequest(**fields)
    return int((await gateway.admin.PurgeCache(request, metadata=gateway.metadata())).purged_count)


async def test_the_second_time_nobody_is_asked_and_nothing_is_charged(gateway: RunningGateway) -> None:
    first, told_first = await ask(gateway, asked())
    second, told_second = await ask(gateway, asked())

    assert (first.cache_status, told_first) == (MISS, "miss")
    assert (second.cache_status, told_second) == (HIT, "hit")
    assert second.candidates == first.candidates
    assert (first.charge.nanos > 0, second.charge.nanos) == (True, 0)
    assert second.usage.source == usage_pb2.USAGE_SOURCE_CACHE
    assert second.completion_id != first.completion_id
    assert await stats(gateway) == [(1, 1, 1)]


async def test_a_hit_is_metered(gateway: RunningGateway) -> None:
    await ask(gateway, asked())
    hit, _ = await ask(gateway, asked())

    request = chat_pb2.GetCompletionRequest(completion_id=hit.completion_id)
    found = (await gateway.chat.GetCompletion(request, metadata=gateway.metadata())).completion
    assert found.usage.source == usage_pb2.USAGE_SOURCE_CACHE


async def test_without_a_policy_nothing_is_kept_or_told(gateway: RunningGateway) -> None:
    for _ in range(2):
        completion, told = await ask(gateway, question("Hello"))
        assert (completion.cache_status, told) == (chat_pb2.CACHE_STATUS_UNSPECIFIED, None)
    assert await stats(gateway) == []


async def test_a_hit_costs_what_the_operator_says(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(cache={"hit_price": "0.5"})
    await ask(gateway, asked())

    assert (await ask(gateway, asked()))[0].charge.nanos == 500_000_000


@pytest.mark.parametrize(
    "other",
    [
        {"text": "hello"},
        {"model": "sandbox/slow"},
        {"sampling": chat_pb2.Sampling(temperature=0.5)},
        {"strict_parameters": True},
        {"reasoning": chat_pb2.Reasoning()},
    ],
)
async def test_another_question_has_another_answer(gateway: RunningGateway, other: dict[str, Any]) -> None:
    await ask(gateway, asked())

    assert (await ask(gateway, asked(**other)))[1] == "miss"


async def test_labels_and_users_do_not_make_another_question(gateway: RunningGateway) -> None:
    await ask(gateway, asked(labels={"a": "b"}), "ann")

    assert (await ask(gateway, asked(labels={"c": "d"}), "bob"))[1] == "hit"


async def test_another_tenant_never_gets_it(gateway: RunningGateway) -> None:
    tenant = await gateway.admin.CreateTenant(admin_pb2.CreateTenantRequest(name="other"), metadata=gateway.metadata())
    made = admin_pb2.CreateApiKeyRequest(name="k", scopes=["*"], tenant_id=tenant.tenant.tenant_id)
    key = (await gateway.admin.CreateApiKey(made, metadata=gateway.metadata())).secret
    await ask(gateway, asked())

    assert (await ask(gateway, asked(), key=key))[1] == "miss"
    assert await purge(gateway) == 1
    assert (await ask(gateway, asked(), key=key))[1] == "hit"


async def test_a_key_that_may_use_other_models_has_answers_of_its_own(gateway: RunningGateway) -> None:
    made = admin_pb2.CreateApiKeyRequest(name="k", scopes=["chat:write"], allowed_models=["sandbox/*"])
    key = (await gateway.admin.CreateApiKey(made, metadata=gateway.metadata())).secret
    await ask(gateway, asked())

    assert (await ask(gateway, asked(), key=key))[1] == "miss"


async def test_refresh_asks_and_keeps_anew(gateway: RunningGateway) -> None:
    await ask(gateway, asked())
    again, told = await ask(gateway, asked(REFRESH))

    assert told == "miss"
    assert (await ask(gateway, asked()))[0].provider_response_id == again.provider_response_id


async def test_only_never_asks(gateway: RunningGateway) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ask(gateway, asked(ONLY))
    assert reason_of(error.value) == "RESOURCE_NOT_FOUND"

    await ask(gateway, asked())
    assert (await ask(gateway, asked(ONLY)))[1] == "hit"


async def test_a_stream_is_kept_and_told_again_as_a_stream(gateway: RunningGateway) -> None:
    first, second = [await listen(gateway, asked(text="one two three")) for _ in range(2)]

    assert (first.completed.cache_status, second.completed.cache_status) == (MISS, HIT)
    assert (second.text, second.kinds[0], second.kinds[-1]) == (first.text, "started", "completed")
    assert [event.sequence for event in second.events] == list(range(1, len(second.events) + 1))
    assert second.completed.charge.nanos == 0


async def test_what_was_streamed_can_be_had_in_one_piece_and_the_other_way_round(gateway: RunningGateway) -> None:
    streamed = await listen(gateway, asked(text="one"))
    whole, told = await ask(gateway, asked(text="one"))
    assert (told, text_of(whole)) == ("hit", streamed.text)

    whole, _ = await ask(gateway, asked(text="two"))
    streamed = await listen(gateway, asked(text="two"))
    assert (streamed.completed.cache_status, streamed.text) == (HIT, text_of(whole))


async def test_many_who_ask_the_same_at_once_are_one_question(gateway: RunningGateway) -> None:
    told = await asyncio.gather(*(ask(gateway, asked(model="sandbox/slow")) for _ in range(8)))

    assert sorted(word for _, word in told) == ["hit"] * 7 + ["miss"]


async def test_what_is_purged_is_asked_again(gateway: RunningGateway) -> None:
    await ask(gateway, asked())
    await ask(gateway, asked(model="sandbox/slow"))

    assert await purge(gateway, provider="sandbox", model="slow") == 1
    assert (await ask(gateway, asked()))[1] == "hit"
    assert (await ask(gateway, asked(model="sandbox/slow")))[1] == "miss"


async def test_replicas_share_what_is_kept_and_forget_it_together(start_gateway: StartGateway, valkey_url: str) -> None:
    environment, limits = {"TRUNKLINE_REDIS_URL": valkey_url}, {"redis_timeout_s": 20}
    one, other = [await start_gateway(environment, limits=limits) for _ in range(2)]
    await ask(one, asked())

    assert (await ask(other, asked()))[1] == "hit"
    assert await purge(one) == 1

    async def is_forgotten() -> bool:
        return (await stats(other)) == [(1, 0, 0)]

    await until(is_forgotten)
    assert (await ask(other, asked()))[1] == "miss"


async def test_an_old_answer_will_do_where_nobody_answers_if_the_caller_says_so(start_fleet: StartFleet) -> None:
    fleet = await start_fleet()
    gateway, model = fleet.gateway, CHAIN[0]
    await ask(gateway, asked(model=model, ttl=Duration(seconds=1)))

    async def is_old() -> bool:
        try:
            await ask(gateway, asked(ONLY, model=model))
        except grpc.aio.AioRpcError:
            return True
        return False

    await until(is_old)
    for ship in fleet.ships:
        ship.down()
    completion, told = await ask(gateway, asked(model=model, allow_stale=True))
    streamed = await listen(gateway, asked(model=model, allow_stale=True))
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(gateway, asked(model=model))

    assert (told, completion.cache_status, text_of(completion)) == ("stale", STALE, "by openai")
    assert (streamed.completed.cache_status, streamed.text) == (STALE, "by openai")


async def test_what_a_fallback_says_is_not_kept(start_fleet: StartFleet) -> None:
    fleet = await start_fleet()
    fleet.ships[0].down(503)

    told = [(await ask(fleet.gateway, asked(model=CHAIN[0])))[1] for _ in range(2)]

    assert told == ["miss", "miss"]
