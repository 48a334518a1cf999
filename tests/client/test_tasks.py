"""Tasks with the Python client, over the socket: what is asked, and what comes back as Python values."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.reader import Reader, reader, reading
from trunkline import AsyncTrunkline, CreditInsufficient
from trunkline.v1 import tasks_pb2

__all__ = ["reader", "reading"]


@dataclass
class Lamp:
    name: str
    price: float


@pytest.fixture
async def desk(reading: RunningGateway) -> AsyncIterator[AsyncTrunkline]:
    """A client of a gateway whose model reads."""
    async with AsyncTrunkline(reading.house.grpc_address, key=reading.key) as client:
        yield client


async def test_a_text_is_classified(desk: AsyncTrunkline) -> None:
    one = await desk.tasks.classify("spam spam ham", {"spam": "nobody wants it", "ham": ""}, user="ada")
    several = await desk.tasks.classify("ham ham ham spam spam", ["spam", "ham"], several=True, threshold=0.2)
    mood = await desk.tasks.classify("positive", kind="sentiment")

    assert (str(one), one.value.scores) == ("spam", {"spam": 0.2, "ham": 0.1})
    assert several.value.labels == ("ham", "spam")
    assert mood.value.label == "positive"
    assert await desk.credits.balance("ada") == Decimal(100) - one.charge < Decimal(100)


async def test_facts_become_a_value(desk: AsyncTrunkline) -> None:
    found = await desk.tasks.extract("name: lamp\nprice: 1.5", Lamp, instructions="be exact")

    assert found.value == Lamp("lamp", 1.5)
    assert found.receipt.piece_count == 1


async def test_texts_are_written_anew(desk: AsyncTrunkline, reader: Reader) -> None:
    short = await desk.tasks.summarize("the keynote, at length", length="short", style="bullets", focus="money")
    other = await desk.tasks.translate("good day", "German", formality="formal", glossary={"day": "Tag"})
    code = await desk.tasks.code("python", "say hello", context="x = 1")

    assert (str(short), str(other), str(code)) == ("keynote", "GOOD DAY", "# say hello")
    assert (code.value.explanation, code.value.language) == ("a remark", "python")
    asked = json.dumps(reader.asked[0]), json.dumps(reader.asked[1])
    assert "money" in asked[0]
    assert all(word in asked[1] for word in ("German", "Tag"))


async def test_a_task_has_a_limit_and_takes_what_there_is_no_word_for(desk: AsyncTrunkline, reader: Reader) -> None:
    with pytest.raises(CreditInsufficient):
        await desk.tasks.summarize("the keynote " * 200, max_cost="0.000000001")
    told = await desk.tasks.summarize("the keynote", also=tasks_pb2.TaskOptions(labels={"page": "start"}))
    assert told.charge > 0
