"""Kept answers to questions that mean nearly the same. The sandbox's vectors are near where texts share words."""

from __future__ import annotations

from typing import Any

import asyncpg
import grpc
import pytest

from tests.fixtures.books import Books
from tests.fixtures.desk import heard
from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of, text_of
from trunkline.v1 import admin_pb2, chat_pb2, content_pb2
from trunkline_server.store.embedded import EmbeddedPostgres

MISS, HIT, SIMILAR = chat_pb2.CACHE_STATUS_MISS, chat_pb2.CACHE_STATUS_HIT, chat_pb2.CACHE_STATUS_SIMILAR
RED, WINE_RED, BICYCLE = "Where is red wine from?", "From where is wine, red?", "How to mend a bicycle"
EMBED = "sandbox/embed"


def asked(
    text: str, mode: chat_pb2.CacheMode.ValueType = chat_pb2.CACHE_MODE_USE, **similar: Any
) -> chat_pb2.ChatInput:
    input = question(text)
    input.cache.mode = mode
    input.cache.similar.MergeFrom(chat_pb2.SimilarAnswers(**{"embedding_model": EMBED, **similar}))
    return input


async def ask(gateway: RunningGateway, input: chat_pb2.ChatInput, key: str = "") -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=input)
    return (await gateway.chat.Complete(request, metadata=gateway.metadata("ann", key))).completion


async def refused(gateway: RunningGateway, input: chat_pb2.ChatInput) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ask(gateway, input)
    return reason_of(error.value)


async def status(gateway: RunningGateway, input: chat_pb2.ChatInput, key: str = "") -> chat_pb2.CacheStatus.ValueType:
    return (await ask(gateway, input, key)).cache_status


async def test_the_answer_to_the_same_question_in_other_words(gateway: RunningGateway) -> None:
    first = await ask(gateway, asked(RED))
    other, again = await ask(gateway, asked(WINE_RED)), await ask(gateway, asked(RED))

    assert (first.cache_status, other.cache_status, again.cache_status) == (MISS, SIMILAR, HIT)
    assert text_of(other) == text_of(first)
    assert other.cache_lookup.similarity > 0.95 > first.cache_lookup.similarity == 0
    assert not again.HasField("cache_lookup")  # to the letter it costs nothing


async def test_another_question_is_asked(gateway: RunningGateway) -> None:
    first = await ask(gateway, asked(RED))
    other = await ask(gateway, asked(BICYCLE))

    assert other.cache_status == MISS
    assert text_of(other) != text_of(first)


async def test_how_alike_they_must_be_is_told_by_the_call(gateway: RunningGateway) -> None:
    await ask(gateway, asked("red wine"))

    assert await status(gateway, asked("a glass of red wine")) == MISS
    assert await status(gateway, asked("one glass of red wine", similarity_min=0.5)) == SIMILAR


async def test_the_vector_is_on_the_bill_and_has_a_usage_row(gateway: RunningGateway, books: Books) -> None:
    call = gateway.chat.Complete(chat_pb2.CompleteRequest(input=asked(RED)), metadata=gateway.metadata("ann"))
    completion = (await call).completion
    trailers = dict(await call.trailing_metadata() or ())

    lookup = completion.cache_lookup
    charged = completion.charge.nanos + lookup.charge.nanos
    assert lookup.charge.nanos > 0
    assert round(float(trailers["x-trunkline-charge"]) * 1e9) == charged
    assert trailers["x-trunkline-completion-id"] == completion.completion_id
    assert sorted(row["operation"] for row in await books.usage()) == ["chat", "embed"]
    found = await gateway.chat.GetCompletion(
        chat_pb2.GetCompletionRequest(completion_id=lookup.completion_id), metadata=gateway.metadata()
    )
    assert found.completion.charge == lookup.charge


async def test_only_never_asks_and_finds_similar_ones(gateway: RunningGateway) -> None:
    only = chat_pb2.CACHE_MODE_ONLY
    assert await refused(gateway, asked(WINE_RED, only)) == "RESOURCE_NOT_FOUND"
    await ask(gateway, asked(RED))

    assert await status(gateway, asked(WINE_RED, only)) == SIMILAR


async def test_refresh_asks_and_keeps_for_others(gateway: RunningGateway) -> None:
    refresh = chat_pb2.CACHE_MODE_REFRESH
    assert [await status(gateway, asked(RED, refresh)) for _ in range(2)] == [MISS, MISS]

    assert await status(gateway, asked(WINE_RED)) == SIMILAR


async def test_a_stream_is_kept_for_others_and_told_from_theirs(gateway: RunningGateway) -> None:
    async def listened(text: str) -> Any:
        return await heard(
            gateway.chat.Stream(chat_pb2.StreamRequest(input=asked(text)), metadata=gateway.metadata("ann"))
        )

    first, second = await listened(RED), await listened(WINE_RED)

    assert (first.completed.cache_status, second.completed.cache_status) == (MISS, SIMILAR)
    assert second.text == first.text
    assert second.completed.cache_lookup.similarity > 0.95
    assert first.completed.cache_lookup.charge.nanos > 0


def told(**fields: Any) -> chat_pb2.ChatInput:
    """The question in other words, with something else changed."""
    input = asked(WINE_RED)
    input.MergeFrom(chat_pb2.ChatInput(**fields))
    return input


TOOL = content_pb2.Tool(function=content_pb2.FunctionTool(name="look", parameters_json_schema='{"type": "object"}'))


def before(text: str) -> chat_pb2.ChatInput:
    """With a message before it."""
    input = asked(WINE_RED)
    last = content_pb2.Message()
    last.CopyFrom(input.messages[0])
    del input.messages[:]
    input.messages.extend([question(text).messages[0], last])
    return input


@pytest.mark.parametrize(
    "other",
    [
        told(model="sandbox/slow"),
        told(sampling=chat_pb2.Sampling(temperature=0.1)),
        told(sampling=chat_pb2.Sampling(max_output_tokens=100)),
        told(strict_parameters=True),
        before("You are a pirate"),
    ],
    ids=["model", "temperature", "length", "strictness", "history"],
)
async def test_all_else_must_be_the_same(gateway: RunningGateway, other: chat_pb2.ChatInput) -> None:
    await ask(gateway, asked(RED))

    assert await status(gateway, other) == MISS


@pytest.mark.parametrize(
    ("fields", "permission"),
    [
        ({"tools": [TOOL]}, "with_tools"),
        ({"sampling": chat_pb2.Sampling(temperature=0.9)}, "with_high_temperature"),
    ],
    ids=["tools", "temperature"],
)
async def test_not_where_another_answer_is_wanted_each_time(
    gateway: RunningGateway, fields: dict[str, Any], permission: str
) -> None:
    def put(text: str, **similar: Any) -> chat_pb2.ChatInput:
        input = asked(text, **similar)
        input.MergeFrom(chat_pb2.ChatInput(**fields))
        return input

    await ask(gateway, put(RED))
    unasked = await ask(gateway, put(WINE_RED))
    await ask(gateway, put("Where does rice come from?", **{permission: True}))

    assert (unasked.cache_status, unasked.HasField("cache_lookup")) == (MISS, False)
    assert (
        await status(gateway, put("Rice, where does it come from?", similarity_min=0.7, **{permission: True}))
        == SIMILAR
    )


async def test_more_than_words_has_no_meaning_that_could_be_compared(gateway: RunningGateway) -> None:
    input = asked(RED)
    input.messages[0].parts.add().document.text = "a list of wines"

    assert not (await ask(gateway, input)).HasField("cache_lookup")


async def test_another_tenant_never_gets_it(gateway: RunningGateway) -> None:
    tenant = await gateway.admin.CreateTenant(admin_pb2.CreateTenantRequest(name="other"), metadata=gateway.metadata())
    made = admin_pb2.CreateApiKeyRequest(name="k", scopes=["*"], tenant_id=tenant.tenant.tenant_id)
    key = (await gateway.admin.CreateApiKey(made, metadata=gateway.metadata())).secret
    await ask(gateway, asked(RED))

    assert await status(gateway, asked(WINE_RED), key) == MISS
    assert await status(gateway, asked("Red wine is from where?"), key) == SIMILAR  # its own


async def test_replicas_find_what_others_kept_until_it_is_purged(start_gateway: StartGateway) -> None:
    one, other = await start_gateway(), await start_gateway()
    await ask(one, asked(RED))

    assert await status(other, asked(WINE_RED)) == SIMILAR
    purge = await one.admin.PurgeCache(admin_pb2.PurgeCacheRequest(provider="sandbox"), metadata=one.metadata())
    assert purge.purged_count == 1
    assert await status(other, asked(WINE_RED)) == MISS


async def test_the_operator_may_name_the_model_that_makes_vectors(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(cache={"embedding_model": EMBED})
    await ask(gateway, asked(RED, embedding_model=""))

    assert await status(gateway, asked(WINE_RED, embedding_model="")) == SIMILAR


async def test_a_model_must_be_named_and_make_vectors(gateway: RunningGateway) -> None:
    assert await refused(gateway, asked(RED, embedding_model="")) == "VALIDATION"
    assert await refused(gateway, asked(RED, embedding_model="no-such-model")) == "MODEL_NOT_FOUND"


async def test_where_no_vector_can_be_had_the_question_is_asked(start_gateway: StartGateway) -> None:
    dead = {
        "TRUNKLINE_PROVIDERS__OPENAI__API_KEY": "k",
        "TRUNKLINE_PROVIDERS__OPENAI__BASE_URL": "http://127.0.0.1:9/v1",
    }
    gateway = await start_gateway(dead)

    completion = await ask(gateway, asked(RED, embedding_model="openai/text-embedding-3-small"))
    assert (completion.cache_status, completion.HasField("cache_lookup")) == (MISS, False)


async def test_it_counts_as_its_own_kind(gateway: RunningGateway) -> None:
    for text in (RED, WINE_RED):
        await ask(gateway, asked(text))

    answer = await gateway.admin.GetCacheStats(admin_pb2.GetCacheStatsRequest(), metadata=gateway.metadata())
    [told] = answer.stats
    assert (told.miss_count, told.similar_count, told.hit_count) == (1, 1, 0)


async def test_a_database_without_pgvector_finds_the_same(
    gateway: RunningGateway, postgres_url: str, postgres_server: EmbeddedPostgres
) -> None:
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(postgres_server.cluster.url("postgres", name))
    await connection.execute("DROP EXTENSION vector")
    await connection.close()
    first = await ask(gateway, asked(RED))

    assert text_of(await ask(gateway, asked(WINE_RED))) == text_of(first)
    assert await status(gateway, asked("Is wine from where red is?", similarity_min=0.8)) == SIMILAR
    assert await status(gateway, asked(BICYCLE)) == MISS
