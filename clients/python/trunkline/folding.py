"""A stream's events, folded into the completion that the same call in one piece would give."""

from __future__ import annotations

from google.protobuf.message import Message

from trunkline.v1 import chat_pb2, content_pb2


class Fold:
    """Takes events in their order."""

    def __init__(self) -> None:
        self.completion = chat_pb2.Completion()
        self._parts: dict[tuple[int, int], content_pb2.Part] = {}

    def take(self, event: chat_pb2.ChatEvent) -> None:
        match event.WhichOneof("event"):
            case "started":
                _copy(event.started, self.completion)
            case "part_completed":
                told = event.part_completed
                self._parts[told.candidate_index, told.part_index] = told.part
            case "candidate_completed":
                ended = event.candidate_completed
                _copy(ended, self._candidate(ended.candidate_index))
            case "completed":
                self._say()
                _copy(event.completed, self.completion)
            case _:
                pass

    def _say(self) -> None:
        """Parts may be completed in another order than they stand in."""
        for index, _ in sorted(self._parts):
            self._candidate(index)
        for (index, _), part in sorted(self._parts.items(), key=lambda item: item[0]):
            self.completion.candidates[index].message.parts.append(part)

    def _candidate(self, index: int) -> chat_pb2.Candidate:
        while len(self.completion.candidates) <= index:
            message = content_pb2.Message(role=content_pb2.ROLE_ASSISTANT)
            self.completion.candidates.add(index=len(self.completion.candidates), message=message)
        return self.completion.candidates[index]


def _copy(event: Message, target: Message) -> None:
    """Fields of events are called and typed as those of the completion that they become."""
    known = target.DESCRIPTOR.fields_by_name
    told = {field.name: value for field, value in event.ListFields() if field.name in known}
    target.MergeFrom(type(target)(**told))
