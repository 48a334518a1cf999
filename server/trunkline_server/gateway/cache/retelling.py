"""From a stream to a whole answer that can be kept, and from a kept answer back to what a provider would have said."""

from __future__ import annotations

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer


class Listener:
    """Puts together what a stream says."""

    def __init__(self) -> None:
        self.whole = chat_pb2.Completion()
        self._candidates: dict[int, chat_pb2.Candidate] = {}

    def hear(self, event: chat_pb2.ChatEvent) -> bool:
        """Whether it is whole now."""
        match event.WhichOneof("event"):
            case "started":
                self.whole.provider, self.whole.model = event.started.provider, event.started.model
                self.whole.create_time.CopyFrom(event.started.create_time)
            case "part_completed":
                done = event.part_completed
                self._candidate(done.candidate_index).message.parts.append(done.part)
            case "candidate_completed":
                self._ended(event.candidate_completed)
            case "completed":
                self.whole.outcome = event.completed.outcome
                self.whole.attempts.extend(event.completed.attempts)
                self.whole.guard_findings.extend(event.completed.guard_findings)
                self.whole.provider_response_id = event.completed.provider_response_id
                self.whole.candidates.extend(self._candidates[index] for index in sorted(self._candidates))
                return True
            case _:
                pass
        return False

    def _ended(self, ended: chat_pb2.CandidateCompleted) -> None:
        candidate = self._candidate(ended.candidate_index)
        candidate.finish_reason = ended.finish_reason
        candidate.provider_finish_reason = ended.provider_finish_reason
        candidate.stop_sequence = ended.stop_sequence
        candidate.logprobs.extend(ended.logprobs)

    def _candidate(self, index: int) -> chat_pb2.Candidate:
        if index not in self._candidates:
            message = content_pb2.Message(role=content_pb2.ROLE_ASSISTANT)
            self._candidates[index] = chat_pb2.Candidate(index=index, message=message)
        return self._candidates[index]


def retold(whole: chat_pb2.Completion, *, streaming: bool) -> Answer:
    """The answer, as if a provider had just given it."""
    answer = Answer(streaming=streaming)
    answer.identify(whole.provider_response_id, whole.model)
    for candidate in whole.candidates:
        for place, part in enumerate(candidate.message.parts):
            _tell(answer, part, candidate.index, place)
        answer.logprobs(candidate.logprobs, candidate.index)
        told = (candidate.finish_reason, candidate.provider_finish_reason, candidate.stop_sequence)
        answer.finish(*told, candidate=candidate.index)
    return answer


def _tell(answer: Answer, part: content_pb2.Part, candidate: int, place: int) -> None:
    """What grows in a stream grows again, in one step; all else comes whole."""
    if part.HasField("provider_state"):
        answer.part(part, candidate)
    elif part.HasField("text"):
        answer.open_text(candidate)
        answer.text(part.text.text, candidate)
        for citation in part.text.citations:
            answer.citation(citation, candidate)
    elif part.HasField("tool_call"):
        call = part.tool_call
        answer.tool_call(place, call.call_id, call.name, candidate, call.executor)
        answer.arguments(place, call.arguments_json, candidate)
        answer.close_part(candidate, place)
    else:
        answer.part(part, candidate)
