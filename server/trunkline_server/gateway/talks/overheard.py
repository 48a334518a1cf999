"""An answer as it goes by in a stream, so that what a broken one came to can be kept."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.v1 import chat_pb2, content_pb2


class Overheard:
    """The first candidate alone; deltas are put together only where a part never came to its end."""

    __slots__ = ("_deltas", "_parts", "completion")

    def __init__(self) -> None:
        self.completion = chat_pb2.Completion()
        self._parts: dict[int, content_pb2.Part] = {}
        self._deltas: dict[int, list[chat_pb2.PartDelta]] = {}

    def hear(self, event: chat_pb2.ChatEvent) -> None:
        """In their order."""
        match event.WhichOneof("event"):
            case "part_delta":
                delta = event.part_delta
                if not delta.candidate_index:
                    self._deltas.setdefault(delta.part_index, []).append(delta)
            case "part_started" if not event.part_started.candidate_index:
                self._parts[event.part_started.part_index] = event.part_started.part
            case "part_completed" if not event.part_completed.candidate_index:
                self._parts[event.part_completed.part_index] = event.part_completed.part
                self._deltas.pop(event.part_completed.part_index, None)
            case "started":
                begun = event.started
                self.completion.completion_id = begun.completion_id
                self.completion.provider, self.completion.model = begun.provider, begun.model
            case "completed":
                self._end(event.completed)
            case _:
                pass

    def message(self) -> content_pb2.Message:
        """As far as it came."""
        return content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, parts=self._heard())

    def _end(self, end: chat_pb2.GenerationCompleted) -> None:
        self.completion.usage.CopyFrom(end.usage)
        self.completion.cost.CopyFrom(end.cost)
        self.completion.charge.CopyFrom(end.charge)
        self.completion.outcome = end.outcome

    def _heard(self) -> Iterator[content_pb2.Part]:
        for index in sorted(self._parts.keys() | self._deltas.keys()):
            part = content_pb2.Part()
            part.CopyFrom(self._parts.get(index, content_pb2.Part()))
            for delta in self._deltas.get(index, ()):
                _grow(part, delta)
            if part.HasField("tool_call") and index in self._deltas:
                part.tool_call.state = content_pb2.TOOL_CALL_STATE_INVALID
            if part.WhichOneof("kind") is not None:
                yield part


def _grow(part: content_pb2.Part, delta: chat_pb2.PartDelta) -> None:
    """Without what only a whole part has: sources, and the provider's state."""
    match delta.WhichOneof("delta"):
        case "text":
            part.text.text += delta.text
        case "refusal":
            part.refusal.text += delta.refusal
        case "reasoning":
            part.reasoning.text += delta.reasoning
        case "arguments_json":
            part.tool_call.arguments_json += delta.arguments_json
        case _:
            pass
