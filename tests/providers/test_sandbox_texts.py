"""The sandbox's vectors, ranks and judgements: the same every time, near where words are shared, unkind where told."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.v1 import content_pb2, embeddings_pb2, moderation_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport
from trunkline_server.providers.sandbox.embedding import vector
from trunkline_server.wire.craft import Craft
from trunkline_server.wire.http import HttpRequest


async def soon(_: float) -> None:
    await asyncio.sleep(0)


def upstream(settings: ClientSettings | None = None) -> Upstream:
    return Upstream(SANDBOX, SandboxTransport(settings, soon))


async def made(operation: Operation, model: str, asked: Any, to: Upstream | None = None, **script: object) -> Any:
    craft, sandbox = SANDBOX.crafts[operation], to or upstream()
    assert isinstance(craft, Craft)
    errand = Errand("sandbox", model, asked, {"script": script} if script else {})
    products = [await sandbox.make(craft, piece) for piece in craft.split(errand)]
    return craft.join(errand, products)


async def embedded(*texts: str, to: Upstream | None = None, model: str = "embed", **script: object) -> Any:
    return await made(Operation.EMBED, model, embeddings_pb2.EmbedInput(texts=texts), to, **script)


async def vectors(*texts: str) -> list[list[float]]:
    return [list(each.values) for each in (await embedded(*texts)).body.embeddings]


def nearness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_texts_that_share_words_are_near() -> None:
    query, same, near, far = await vectors("red wine", "Wine, red!", "a glass of red wine", "how to mend a bicycle")
    assert nearness(query, same) == pytest.approx(1)
    assert nearness(query, near) > 0.4 > nearness(query, far)


@given(st.text(max_size=60), st.integers(1, 300))
def test_vectors_have_the_length_one(text: str, dimensions: int) -> None:
    numbers = vector(text, dimensions)
    assert len(numbers) == dimensions
    assert math.hypot(*numbers) == pytest.approx(1)
    assert vector(text, dimensions) == numbers


async def test_a_word_is_a_token_and_every_text_has_its_vector() -> None:
    product = await embedded(*(["two words"] * 2100))
    assert (len(product.body.embeddings), product.usage.input_tokens) == (2100, 4200)


async def test_the_length_can_be_chosen() -> None:
    product = await made(Operation.EMBED, "embed", embeddings_pb2.EmbedInput(texts=["a"], dimensions=8))
    assert [len(each.values) for each in product.body.embeddings] == [8]


async def test_numbers_come_plain_where_nothing_else_is_asked_for() -> None:
    body = json.dumps({"model": "embed", "input": "a b"}).encode()
    async with upstream().transport.open(HttpRequest("POST", "/embeddings", body=body)) as response:
        told = json.loads(await response.read(1 << 20))
    assert told["data"][0]["embedding"] == vector("a b")


async def test_documents_are_ordered_by_the_words_of_the_query() -> None:
    documents = ["a bicycle", "wine", "red wine"]
    asked = embeddings_pb2.RerankInput(query="Red wine?", documents=documents, top_count=2)
    product = await made(Operation.RERANK, "rerank", asked)
    assert [(each.index, each.score) for each in product.body.documents] == [(2, 1.0), (1, 0.5)]
    assert dict(product.usage.unit_counts) == {"searches": 1}


async def test_plain_words_are_found_harmful_and_pictures_are_not() -> None:
    asked = moderation_pb2.ModerationInput(
        texts=["a nice day", "I will KILL them"], images=[content_pb2.Blob(data=b"\x89PNG")]
    )
    product = await made(Operation.MODERATION, "moderation", asked)
    assert [each.flagged for each in product.body.results] == [False, True, False]
    assert [each.name for each in product.body.results[1].categories if each.flagged] == ["violence"]
    assert product.usage is None  # a picture has no words


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ({"status": 500}, FailureKind.TRANSIENT),
        ({"status": 429, "retry_after": "1"}, FailureKind.THROTTLED),
        ({"unreachable": True}, FailureKind.NEVER_SENT),
        ({"malformed": "json"}, FailureKind.BROKEN),
        ({"cut_after": 0}, FailureKind.BROKEN),
        ({"reset_after": 0}, FailureKind.INTERRUPTED),
        ({"stall_after": 0}, FailureKind.TIMEOUT_IDLE),
        ({"error_in_stream": 0}, FailureKind.TRANSIENT),
        ({"endless": True}, FailureKind.BROKEN),
        ({"nonsense": 1}, FailureKind.INVALID),
    ],
)
async def test_scripts_make_it_fail(script: dict[str, Any], kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        await embedded("a", to=upstream(ClientSettings(body_bytes_max=1 << 20)), **script)
    assert caught.value.kind is kind


async def test_it_fails_only_so_often() -> None:
    sandbox = upstream()
    with pytest.raises(UpstreamFailure):
        await embedded("a", to=sandbox, status=500, times=1)
    assert (await embedded("a", to=sandbox, status=500, times=1)).body.embeddings


async def test_usage_is_told_as_the_script_says() -> None:
    assert (await embedded("a", usage={"input_tokens": 7})).usage.input_tokens == 7
    assert (await embedded("a", usage=None)).usage is None


async def test_models_do_one_kind_of_work() -> None:
    for model in ("echo", "rerank", "none"):
        with pytest.raises(UpstreamFailure) as caught:
            await embedded("a", model=model)
        assert caught.value.kind is FailureKind.MODEL_UNKNOWN


@pytest.mark.parametrize("path", ["/embeddings", "/rerank", "/moderations"])
@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"model": "embed"}', b'{"model": "moderation", "input": [7]}', b"[" * 9**5]
)
async def test_bodies_that_are_no_request_are_refused(path: str, body: bytes) -> None:
    async with upstream().transport.open(HttpRequest("POST", path, body=body)) as response:
        assert response.status in (400, 404)


@settings(max_examples=20)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=20), st.text(max_size=20))
async def test_every_document_is_ranked_once(documents: list[str], query: str) -> None:
    product = await made(Operation.RERANK, "rerank", embeddings_pb2.RerankInput(query=query, documents=documents))
    assert sorted(each.index for each in product.body.documents) == list(range(len(documents)))
