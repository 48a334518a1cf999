"""What a call is called at a provider that knows work again which is sent once more."""

from __future__ import annotations

import pytest

from tests.fixtures.fleet import CHAIN, Fleet
from tests.fixtures.upstream import Answer, Received, Upstream
from trunkline.v1 import embeddings_pb2

HEADER = "idempotency-key"


def names(fleet: Fleet, ship: int = 0) -> list[str]:
    return [each.headers.get(HEADER, "") for each in fleet.ships[ship].upstream.requests]


async def test_a_call_that_is_tried_again_is_called_the_same(fleet: Fleet) -> None:
    fleet.ships[0].upstream.reply(status=503)
    alone = fleet.question(allowed_providers=["openai"])
    await fleet.complete(alone)
    await fleet.complete(alone)
    first, again, other = names(fleet)
    assert first == again != other
    assert all((first, other))


async def test_a_stream_has_one_too(fleet: Fleet) -> None:
    fleet.ships[0].upstream.reply(status=503)
    await fleet.listen(fleet.question(allowed_providers=["openai"]))
    first, again = names(fleet)
    assert first == again != ""


async def test_who_has_no_header_for_it_gets_none(fleet: Fleet) -> None:
    await fleet.complete(fleet.question(CHAIN[1]))
    assert names(fleet, 1) == [""]


async def test_another_round_of_a_call_is_something_else(fleet: Fleet) -> None:
    """The model is told what was wrong with its answer: a provider must not repeat the first one."""
    wanted = fleet.question(allowed_providers=["openai"])
    wanted.output_format.json_object.SetInParent()
    await fleet.failed(wanted)
    first, second = names(fleet)
    assert first != second


def vectors(asked: Received) -> Answer:
    data = [{"index": index, "embedding": [1.0]} for index, _ in enumerate(asked.json()["input"])]
    return Upstream.whole(json={"data": data})


@pytest.mark.parametrize("count", [1, 3000])
async def test_each_piece_has_a_name_of_its_own(fleet: Fleet, count: int) -> None:
    fleet.ships[0].upstream.reply(status=503)
    input = embeddings_pb2.EmbedInput(model="openai/text-embedding-3-small", texts=["x"] * count)
    fleet.ships[0].upstream.respond(vectors)
    await fleet.gateway.embeddings.Embed(embeddings_pb2.EmbedRequest(input=input), metadata=fleet.gateway.metadata())
    first, again, *others = names(fleet)
    assert first == again != ""
    assert first not in others
    assert len(others) == (count > 2048)
