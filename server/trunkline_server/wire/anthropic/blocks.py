"""Content blocks, as they start, grow and stop: each kind tells an `Answer` what it says."""

from __future__ import annotations

from typing import Protocol

import msgspec
import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.anthropic.shapes import BLOCK, CITATION, Block, Delta

_EMPTY = "{} \t\r\n"


class _Growing(Protocol):
    """A block that has started. `sequential`: it ends where the next block starts."""

    @property
    def sequential(self) -> bool: ...

    def grow(self, delta: Delta, event: bytes) -> None: ...

    def stop(self) -> None: ...


class Blocks:
    """The blocks of one answer that have started and not stopped, by the provider's index."""

    __slots__ = ("_answer", "_growing", "_origin")

    def __init__(self, ask: Ask, answer: Answer) -> None:
        self._answer = answer
        self._origin = content_pb2.ProviderState(provider=ask.provider, model=ask.model)
        self._growing: dict[int, _Growing] = {}

    def start(self, index: int, raw: msgspec.Raw) -> None:
        """A block begins; in a whole answer it is complete at once."""
        if index in self._growing:
            raise UpstreamFailure(FailureKind.BROKEN)
        self._stop_all(only_sequential=True)
        self._growing[index] = self._open(index, BLOCK.decode(raw), bytes(raw))

    def grow(self, index: int, delta: Delta, event: bytes) -> None:
        """A block grows; `event` is the whole event, for the kinds that keep what is not modelled."""
        block = self._growing.get(index)
        if block is None:
            raise UpstreamFailure(FailureKind.BROKEN)
        block.grow(delta, event)

    def stop(self, index: int) -> None:
        """A block is whole."""
        block = self._growing.pop(index, None)
        if block is not None:
            block.stop()

    def close(self) -> None:
        """The answer is done, and with it every block."""
        self._stop_all(only_sequential=False)

    def _stop_all(self, *, only_sequential: bool) -> None:
        for index, block in list(self._growing.items()):
            if block.sequential or not only_sequential:
                self.stop(index)

    def _open(self, index: int, block: Block, raw: bytes) -> _Growing:
        if block.type == "text":
            return _Text(self._answer, self._origin, block)
        if block.type == "thinking":
            return _Thinking(self._answer, self._origin, block)
        if block.type == "redacted_thinking":
            return _Redacted(self._answer, self._origin, block)
        if block.type.endswith("tool_use"):
            return _ToolUse(self._answer, self._origin, index, block, raw)
        return _Opaque(self._answer, self._origin, block.type, raw)


class _Text:
    sequential = True

    def __init__(self, answer: Answer, origin: content_pb2.ProviderState, block: Block) -> None:
        self._answer = answer
        self._origin = origin
        self._citations: list[bytes] = []
        for citation in block.citations or ():
            self._cite(bytes(citation))
        answer.text(block.text or "")

    def grow(self, delta: Delta, event: bytes) -> None:  # noqa: ARG002 the other kinds need the event
        if delta.text:
            self._answer.text(delta.text)
        elif delta.citation:
            self._cite(bytes(delta.citation))

    def stop(self) -> None:
        if self._citations:
            self._answer.state(_state(self._origin, b"[" + b",".join(self._citations) + b"]"))
        self._answer.close_part()

    def _cite(self, raw: bytes) -> None:
        citation = CITATION.decode(raw)
        self._citations.append(raw)
        self._answer.citation(
            content_pb2.Citation(
                title=citation.title or citation.document_title or "",
                uri=citation.url or citation.source or "",
                cited_text=citation.cited_text or "",
                provider_json=raw.decode(),
            )
        )


class _Thinking:
    sequential = True

    def __init__(self, answer: Answer, origin: content_pb2.ProviderState, block: Block) -> None:
        self._answer = answer
        self._origin = origin
        answer.open_reasoning()
        self._tell(block.thinking, block.signature)

    def grow(self, delta: Delta, event: bytes) -> None:  # noqa: ARG002 the other kinds need the event
        self._tell(delta.thinking, delta.signature)

    def stop(self) -> None:
        self._answer.close_part()

    def _tell(self, thinking: str | None, signature: str | None) -> None:
        if thinking:
            self._answer.reasoning(thinking)
        if signature:
            self._answer.state(_state(self._origin, signature.encode()))


class _Redacted:
    """Thoughts that the provider hides; they arrive complete."""

    sequential = True

    def __init__(self, answer: Answer, origin: content_pb2.ProviderState, block: Block) -> None:
        reasoning = content_pb2.ReasoningPart(redacted=True)
        state = _state(origin, (block.data or "").encode())
        answer.part(content_pb2.Part(reasoning=reasoning, provider_state=state))

    def grow(self, delta: Delta, event: bytes) -> None:
        """Nothing can be added."""

    def stop(self) -> None:
        """It was whole when it started."""


class _ToolUse:
    """A call for a tool, `tool_use` for the caller's own; the block itself is kept where it says more than that."""

    sequential = False

    def __init__(self, answer: Answer, origin: content_pb2.ProviderState, index: int, block: Block, raw: bytes) -> None:
        self._answer = answer
        self._index = index
        own = block.type == "tool_use"
        executor = content_pb2.TOOL_EXECUTOR_CALLER if own else content_pb2.TOOL_EXECUTOR_PROVIDER
        answer.tool_call(index, block.id or "", block.name or "", executor=executor)
        if not own or (block.caller and block.caller.type != "direct"):
            answer.state(_state(origin, raw), key=index)
        arguments = bytes(block.input).decode()
        if arguments.strip(_EMPTY) not in ("", "null"):  # a stream starts with an empty object and then tells all of it
            answer.arguments(index, arguments)

    def grow(self, delta: Delta, event: bytes) -> None:  # noqa: ARG002 the other kinds need the event
        self._answer.arguments(self._index, delta.partial_json or "")

    def stop(self) -> None:
        self._answer.close_part(key=self._index)


class _Opaque:
    """A block without a shape of its own here. Deltas are added to its fields: texts grow, all else is replaced."""

    sequential = True

    def __init__(self, answer: Answer, origin: content_pb2.ProviderState, type_: str, raw: bytes) -> None:
        self._answer = answer
        self._origin = origin
        self._type = type_
        self._raw = raw

    def grow(self, delta: Delta, event: bytes) -> None:  # noqa: ARG002 what is not modelled is in the event
        block: dict[str, object] = orjson.loads(self._raw)
        for field, value in orjson.loads(event)["delta"].items():
            known = block.get(field)
            grows = isinstance(known, str) and isinstance(value, str)
            if field != "type":
                block[field] = f"{known}{value}" if grows else value
        self._raw = orjson.dumps(block)

    def stop(self) -> None:
        opaque = content_pb2.OpaquePart(provider=self._origin.provider, type=self._type, json=self._raw.decode())
        self._answer.part(content_pb2.Part(opaque=opaque))


def _state(origin: content_pb2.ProviderState, data: bytes) -> content_pb2.ProviderState:
    return content_pb2.ProviderState(provider=origin.provider, model=origin.model, data=data)
