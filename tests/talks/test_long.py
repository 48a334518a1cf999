"""A very long conversation: kept in one piece, and answered with its end."""

from __future__ import annotations

import tracemalloc

from tests.fixtures.gateway import RunningGateway, text_of, user
from tests.fixtures.talks import Speaker, reply
from trunkline.v1 import chat_pb2

MESSAGES = 10_000
ALLOCATED_MAX = 32 * 1024 * 1024


async def test_ten_thousand_messages(gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    talk = await ada.begin()
    assert await ada.append(talk, *(user("ask " * 20), reply("yes " * 20)) * (MESSAGES // 2)) == MESSAGES
    await ada.ask(talk, "first")
    tracemalloc.start()
    answer = await ada.ask(talk, "and?")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert text_of(answer) == "and?"
    (warning,) = answer.warnings
    assert warning.code == chat_pb2.WARNING_CODE_HISTORY_TRIMMED
    assert warning.message == "the oldest 9802 of 10002 messages of the conversation were not sent"
    assert answer.usage.input_tokens < 5000
    assert peak < ALLOCATED_MAX
    assert (await ada.look(talk)).message_count == MESSAGES + 4
