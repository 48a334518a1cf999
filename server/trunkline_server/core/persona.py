"""What an assistant brings to a call: everything that the call itself leaves open."""

from __future__ import annotations

from trunkline.v1 import assistants_pb2, chat_pb2, content_pb2


def lend(persona: assistants_pb2.Persona, input: chat_pb2.ChatInput) -> None:
    """Fills in a call, in place; its messages stay as they are."""
    input.model = input.model or persona.model
    lend_sampling(persona.sampling, input)
    if not input.tools:
        input.tools.extend(persona.tools)
        if persona.HasField("tool_choice") and not input.HasField("tool_choice"):
            input.tool_choice.CopyFrom(persona.tool_choice)
    if persona.HasField("reasoning") and not input.HasField("reasoning"):
        input.reasoning.CopyFrom(persona.reasoning)
    if persona.HasField("output_format") and not input.HasField("output_format"):
        input.output_format.CopyFrom(persona.output_format)
    if persona.file_ids:
        input.file_ids[:] = dict.fromkeys((*persona.file_ids, *input.file_ids))


def lend_sampling(lent: chat_pb2.Sampling, input: chat_pb2.ChatInput) -> None:
    """Each parameter by itself: what the call says wins."""
    if not lent.ByteSize():
        return
    said, merged = input.sampling, chat_pb2.Sampling()
    merged.CopyFrom(lent)
    if said.stop_sequences:
        del merged.stop_sequences[:]
    merged.MergeFrom(said)
    input.sampling.CopyFrom(merged)


def instruction(text: str) -> content_pb2.Message:
    """A text that the model is to follow."""
    return _message(content_pb2.ROLE_SYSTEM, text)


def said(text: str) -> content_pb2.Message:
    """A text as if the user had said it."""
    return _message(content_pb2.ROLE_USER, text)


def _message(role: content_pb2.Role.ValueType, text: str) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=[content_pb2.Part(text=content_pb2.TextPart(text=text))])
