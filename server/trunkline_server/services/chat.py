"""ChatService: checks that the question is whole, and speaks to the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from trunkline.v1 import chat_pb2, usage_pb2
from trunkline_server.core import ids, money, question, resume_token
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Describe, Reason, TrunklineError, invalid, not_found
from trunkline_server.core.estimate import input_tokens
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.gateway.cache.recall import Recall
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.completions import Completions
from trunkline_server.gateway.questions import Questions
from trunkline_server.gateway.quotes import Quote, together
from trunkline_server.gateway.settlement import CHARGE_TRAILER
from trunkline_server.gateway.stops import Stops
from trunkline_server.gateway.streams.streams import Streams
from trunkline_server.gateway.talks.talks import Talks
from trunkline_server.gateway.tools.loop import ToolLoop

CONCURRENCY_DEFAULT: Final = 8


@dataclass(frozen=True)
class ChatService:
    """`describe` words an error as a status, for the items of CompleteMany."""

    talks: Talks
    gateway: Recall
    tools: ToolLoop
    completions: Completions
    stops: Stops
    streams: Streams
    questions: Questions
    policy: EgressPolicy
    describe: Describe

    async def complete(self, call: Call, request: chat_pb2.CompleteRequest) -> chat_pb2.CompleteResponse:
        response = chat_pb2.CompleteResponse()
        await self._complete(call, request.input, response.completion)
        return response

    async def stream(
        self, call: Call, request: chat_pb2.StreamRequest
    ) -> AsyncGenerator[chat_pb2.StreamResponse, None]:
        async with self.talks.turn(call, request.input) as turn:
            input = await self._whole(call, turn.input)
            async with aclosing(turn.heard(self.tools.stream(call, input))) as events:
                async for event in events:
                    yield chat_pb2.StreamResponse(event=event)

    async def resume_stream(
        self, call: Call, request: chat_pb2.ResumeStreamRequest
    ) -> AsyncGenerator[chat_pb2.ResumeStreamResponse, None]:
        completion_id, heard = _place(request)
        events = await self.streams.resumed(call, completion_id, heard)
        if events is None:
            raise await self._lost(call, completion_id)
        async with aclosing(events):
            async for event in events:
                yield chat_pb2.ResumeStreamResponse(event=event)

    async def cancel_completion(
        self, call: Call, request: chat_pb2.CancelCompletionRequest
    ) -> chat_pb2.CancelCompletionResponse:
        await self.stops.stop(call.caller.tenant_id, _completion_id(request.completion_id))
        return chat_pb2.CancelCompletionResponse()

    async def get_completion(
        self, call: Call, request: chat_pb2.GetCompletionRequest
    ) -> chat_pb2.GetCompletionResponse:
        found = await self.completions.find(call.caller.tenant_id, _completion_id(request.completion_id))
        return chat_pb2.GetCompletionResponse(completion=found)

    async def complete_many(self, call: Call, request: chat_pb2.CompleteManyRequest) -> chat_pb2.CompleteManyResponse:
        places = asyncio.Semaphore(request.max_concurrency or CONCURRENCY_DEFAULT)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._item(call, places, input)) for input in request.inputs]
        results = [task.result() for task in running]
        charge_nanos = sum(result.completion.charge.nanos for result in results)
        call.trailers[CHARGE_TRAILER] = money.to_decimal_text(charge_nanos)
        return chat_pb2.CompleteManyResponse(results=results)

    async def count_tokens(self, call: Call, request: chat_pb2.CountTokensRequest) -> chat_pb2.CountTokensResponse:
        input = await self._offered(call, request.input)
        admission = self.gateway.admission
        route = admission.candidates.first(call, input)
        work = await self.gateway.guards.masked(call, ChatWork(input))
        ask = work.errand(call, admission.offer(work, route, charged=False))
        try:
            counted = await route.upstream.count(ask)
        except UpstreamFailure:
            counted = None
        source = usage_pb2.USAGE_SOURCE_PROVIDER if counted is not None else usage_pb2.USAGE_SOURCE_ESTIMATED
        tokens = input_tokens(work.input) if counted is None else counted
        return chat_pb2.CountTokensResponse(input_tokens=tokens, source=source)

    async def quote(self, call: Call, request: chat_pb2.QuoteRequest) -> chat_pb2.QuoteResponse:
        return (await self._quoted(call, request.input)).message()

    async def quote_many(self, call: Call, request: chat_pb2.QuoteManyRequest) -> chat_pb2.QuoteManyResponse:
        places = asyncio.Semaphore(CONCURRENCY_DEFAULT)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._quote_or_error(call, places, input)) for input in request.inputs]
        told = [task.result() for task in running]
        quotes = [each for each in told if isinstance(each, Quote)]
        errors = [each.reason.value for each in told if isinstance(each, TrunklineError)]
        denial = errors[0] if errors else together(quotes)
        return chat_pb2.QuoteManyResponse(
            results=[self._quote_result(call, each) for each in told],
            least=money.credits(sum(quote.least_nanos for quote in quotes)),
            most=money.credits(sum(quote.offer.most_nanos for quote in quotes)),
            allowed=not denial,
            denial_reason=denial,
        )

    async def _quoted(self, call: Call, input: chat_pb2.ChatInput) -> Quote:
        return await self.gateway.admission.quotes.of(call, await self._offered(call, input))

    async def _offered(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """The question that a call would ask now, of which nobody is asked."""
        whole = await self._whole(call, await self.talks.question(call, input), asked=False)
        return await self.tools.offered(call, whole)

    async def _quote_or_error(
        self, call: Call, places: asyncio.Semaphore, input: chat_pb2.ChatInput
    ) -> Quote | TrunklineError:
        async with places:
            try:
                return await self._quoted(call, input)
            except TrunklineError as error:
                return error

    def _quote_result(self, call: Call, told: Quote | TrunklineError) -> chat_pb2.QuoteManyResult:
        if isinstance(told, TrunklineError):
            return chat_pb2.QuoteManyResult(error=self.describe(told, call.request_id))
        return chat_pb2.QuoteManyResult(quote=told.message())

    async def _complete(self, call: Call, input: chat_pb2.ChatInput, completion: chat_pb2.Completion) -> None:
        """The answer, written in place: it can be long."""
        async with self.talks.turn(call, input) as turn:
            answered = await self.tools.complete(call, await self._whole(call, turn.input))
            answered.write(completion)
            await turn.told(completion)

    async def _item(
        self, call: Call, places: asyncio.Semaphore, input: chat_pb2.ChatInput
    ) -> chat_pb2.CompleteManyResult:
        """One question among many: its error is its result."""
        own = replace(call, trailers={}, facts={})
        result = chat_pb2.CompleteManyResult()
        async with places:
            try:
                await self._complete(own, input, result.completion)
            except TrunklineError as error:
                result.error.CopyFrom(self.describe(error, call.request_id))
        return result

    async def _whole(self, call: Call, input: chat_pb2.ChatInput, *, asked: bool = True) -> chat_pb2.ChatInput:
        """The question, checked, with what the provider would have to fetch itself fetched."""
        question.check(input, self.policy)
        route = self.gateway.admission.candidates.first(call, input)
        return await self.questions.whole(call, input, route, asked=asked)

    async def _lost(self, call: Call, completion_id: UUID) -> TrunklineError:
        """Why a stream cannot be heard."""
        if await self.completions.was_of(call.caller.tenant_id, call.user_id, completion_id):
            return TrunklineError(
                Reason.RESUME_EXPIRED, "the stream is not kept; GetCompletion tells what became of it"
            )
        return not_found("stream", ids.spell("cmpl", completion_id))


def _place(request: chat_pb2.ResumeStreamRequest) -> tuple[UUID, int]:
    """Which stream, and the last event that came."""
    if not request.resume_token:
        return _completion_id(request.completion_id), request.after_sequence
    if request.completion_id or request.after_sequence:
        raise invalid("resume_token", "goes in place of the other fields")
    place = resume_token.parse(request.resume_token)
    if place is None:
        raise invalid("resume_token", "is none that a stream has given out")
    return place


def _completion_id(text: str) -> UUID:
    completion_id = ids.parse("cmpl", text)
    if completion_id is None:
        raise not_found("completion", text)
    return completion_id
