"""Tells an `Answer` what a message says, or what an event adds to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.cohere.citations import by_block, citation_of, is_of_text, read_citation
from trunkline_server.wire.cohere.shapes import WORDS, Function, Logprobs, Message, ToolCall, Words

PLAN: Final = b"tool_plan"  # the state of thoughts that the provider wants back in a field of their own
CITATION: Final = "citation"


class Listener:
    """Hears messages and events. Citations of anything but the text wait for the end, where each is a part."""

    __slots__ = ("_answer", "_asides", "_ask", "_planning")

    def __init__(self, ask: Ask, answer: Answer) -> None:
        self._ask = ask
        self._answer = answer
        self._asides: list[msgspec.Raw] = []
        self._planning = False

    def hear(self, message: Message) -> None:
        """A whole message, in the order in which a model says it."""
        if message.tool_plan:
            self.plan(message.tool_plan)
        self._blocks(message.content or (), by_block(message.citations or ()))
        for index, call in enumerate(message.tool_calls or ()):
            self.call(index, call)
            self._answer.close_part(key=index)

    def begin(self, raw: msgspec.Raw) -> None:
        """A content block, or its beginning."""
        block = dialect.parse(WORDS, raw)
        self._planning = False
        match block.type:
            case "text":
                self._answer.open_text()
                self.grow(block)
            case "thinking":
                self._answer.open_reasoning()
                self.grow(block)
            case kind:
                self._answer.part(self._opaque(kind or "", raw))

    def grow(self, words: Words) -> None:
        """More of the block."""
        if words.text:
            self._answer.text(words.text)
        elif words.thinking:
            self._answer.reasoning(words.thinking)

    def plan(self, text: str) -> None:
        """More of what the model means to do with its tools."""
        if text and not self._planning:
            self._planning = True
            self._answer.open_reasoning()
            self._answer.state(content_pb2.ProviderState(provider=self._ask.provider, model=self._ask.model, data=PLAN))
        self._answer.reasoning(text)

    def call(self, index: int, call: ToolCall) -> None:
        """A tool call, or its beginning."""
        function = call.function or Function()
        if not function.name:
            raise UpstreamFailure(FailureKind.BROKEN)
        self._planning = False
        self._answer.close_part(key=index)
        self._answer.tool_call(index, call.id or "", function.name)
        self._answer.arguments(index, function.arguments or "")

    def cite(self, raw: msgspec.Raw) -> None:
        """A source of what was said last."""
        citation = read_citation(raw)
        if is_of_text(citation):
            self._answer.citation(citation_of(citation, raw))
        else:
            self._asides.append(raw)

    def weigh(self, logprobs: Logprobs) -> None:
        """Tokens that make one text are as likely as all of them together."""
        likely = chat_pb2.TokenLogprob(token=logprobs.text or "", logprob=sum(logprobs.logprobs or ()))
        self._answer.logprobs([likely])

    def end(self) -> None:
        """Everything was said."""
        for raw in self._asides:
            self._answer.part(self._opaque(CITATION, raw))
        self._asides.clear()

    def _blocks(self, content: str | Sequence[msgspec.Raw], citations: dict[int | None, list[msgspec.Raw]]) -> None:
        if isinstance(content, str):
            self._answer.text(content)
            content = ()
        for index, block in enumerate(content):
            self.begin(block)
            self._cite_all(citations.pop(index, ()))
        for left in citations.values():
            self._cite_all(left)

    def _cite_all(self, citations: Sequence[msgspec.Raw]) -> None:
        for raw in citations:
            self.cite(raw)

    def _opaque(self, kind: str, raw: msgspec.Raw) -> content_pb2.Part:
        block = content_pb2.OpaquePart(provider=self._ask.provider, type=kind, json=dialect.verbatim(raw))
        return content_pb2.Part(opaque=block)
