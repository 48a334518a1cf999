"""Chat calls that read in a collection first: what fits the question goes before it, and the answer names it.

What was read is not kept in a conversation; what the answer cites is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from trunkline.v1 import chat_pb2, collections_pb2, content_pb2, retrieval_pb2
from trunkline_server.core import history, money, persona
from trunkline_server.core.call import Call
from trunkline_server.core.collections import citing
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.gateway.collections.finding import Finding, check
from trunkline_server.gateway.settlement import CHARGE_TRAILER
from trunkline_server.gateway.talks.aside import guarded
from trunkline_server.gateway.talks.turn import Turn

SCOPE: Final = "collections:read"
LIMIT: Final = 5
QUERY_CHARS_MAX: Final = 16_000


@dataclass(frozen=True)
class Grounding:
    """A step around a turn, for calls that ask for it."""

    finding: Finding

    @asynccontextmanager
    async def over(self, call: Call, turn: Turn) -> AsyncIterator[Turn]:
        """The same turn with sources. Raises what a search can, and SCOPE_MISSING."""
        _check_scope(call)
        retrieved = await self._retrieved(call, turn.input)
        try:
            yield GroundedTurn(turn, retrieved)
        finally:
            told = money.from_decimal_text(call.trailers.get(CHARGE_TRAILER, "0"))
            call.trailers[CHARGE_TRAILER] = money.to_decimal_text(told + retrieved.charge.nanos)

    async def at_most(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """The question with the longest sources that it could have; nothing is searched for, and so nothing charged."""
        _check_scope(call)
        request = _search(input)
        check(request)
        hits = await self.finding.longest(call, request)
        sources = [_source(number, hit) for number, hit in enumerate(hits, start=1)]
        return _with_sources(input, retrieval_pb2.Retrieved(sources=sources))

    async def _retrieved(self, call: Call, input: chat_pb2.ChatInput) -> retrieval_pb2.Retrieved:
        inner = replace(guarded(call, input), trailers={}, facts={})
        found = await self.finding.search(inner, _search(input))
        charge_nanos = sum(receipt.charge.nanos for receipt in found.receipts)
        sources = [_source(number, hit) for number, hit in enumerate(found.hits, start=1)]
        return retrieval_pb2.Retrieved(sources=sources, charge=money.credits(charge_nanos))


class GroundedTurn(Turn):
    """Another turn with sources before its question, and citations in its answer."""

    __slots__ = ("_cites", "_retrieved", "_turn")

    def __init__(self, turn: Turn, retrieved: retrieval_pb2.Retrieved) -> None:
        super().__init__(_with_sources(turn.input, retrieved))
        self._turn = turn
        self._retrieved = retrieved
        self._cites = not turn.input.retrieval.without_citations

    async def told(self, completion: chat_pb2.Completion) -> None:
        completion.retrieved.CopyFrom(self._retrieved)
        for candidate in completion.candidates:
            for part in candidate.message.parts:
                self._cite(part)
        await self._turn.told(completion)

    def heard(self, events: AsyncGenerator[chat_pb2.ChatEvent, None]) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        return self._turn.heard(self._marked(events))

    async def _marked(
        self, events: AsyncGenerator[chat_pb2.ChatEvent, None]
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        async with aclosing(events):
            async for event in events:
                if event.HasField("started"):
                    event.started.retrieved.CopyFrom(self._retrieved)
                elif event.HasField("part_completed"):
                    self._cite(event.part_completed.part)
                yield event

    def _cite(self, part: content_pb2.Part) -> None:
        if self._cites and part.HasField("text"):
            citing.cite(part.text, self._retrieved.sources)


def _check_scope(call: Call) -> None:
    if not call.caller.may(SCOPE):
        message = f"the API key lacks the scope {SCOPE!r}"
        raise TrunklineError(Reason.SCOPE_MISSING, message, metadata={"scope": SCOPE})


def _search(input: chat_pb2.ChatInput) -> collections_pb2.SearchRequest:
    asked = input.retrieval
    text = asked.query or next(
        (history.words(each) for each in reversed(input.messages) if history.begins_turn(each)), ""
    )
    if not text.strip():
        raise invalid("input.retrieval.query", "is empty, and so is the last message of the user")
    request = collections_pb2.SearchRequest(collection=asked.collection, text=text[:QUERY_CHARS_MAX])
    request.options.CopyFrom(asked.options)
    request.options.limit = asked.options.limit or LIMIT
    return request


def _with_sources(input: chat_pb2.ChatInput, retrieved: retrieval_pb2.Retrieved) -> chat_pb2.ChatInput:
    """A copy: before all messages how to cite, before the last one of the user the sources, as the user's words."""
    whole = chat_pb2.ChatInput()
    whole.CopyFrom(input)
    whole.ClearField("retrieval")
    if not retrieved.sources:
        return whole
    wish = [] if input.retrieval.without_citations else [persona.instruction(citing.WISH)]
    messages = list(whole.messages)
    place = next(
        (index for index in reversed(range(len(messages))) if history.begins_turn(messages[index])), len(messages)
    )
    sources = persona.said(f"Sources:\n\n{citing.spelled(retrieved.sources)}")
    replaced = chat_pb2.ChatInput(messages=[*wish, *messages[:place], sources, *messages[place:]])
    whole.ClearField("messages")
    whole.MergeFrom(replaced)
    return whole


def _source(number: int, hit: collections_pb2.SearchHit) -> retrieval_pb2.RetrievedSource:
    return retrieval_pb2.RetrievedSource(
        number=number,
        document_id=hit.document_id,
        chunk_index=hit.chunk_index,
        title=hit.title,
        uri=hit.uri,
        text=hit.text,
        score=hit.score,
    )
