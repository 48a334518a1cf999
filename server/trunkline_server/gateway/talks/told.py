"""A question and its answer as a conversation keeps them."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.v1 import chat_pb2, content_pb2, conversations_pb2
from trunkline_server.core import history


def asked(
    new: Iterable[content_pb2.Message], user_id: str, completion_id: str
) -> list[conversations_pb2.ConversationMessage]:
    """What the caller said; instructions are for the call alone."""
    return [
        conversations_pb2.ConversationMessage(message=message, user_id=user_id, completion_id=completion_id)
        for message in new
        if not history.is_instruction(message)
    ]


def answered(
    completion: chat_pb2.Completion, message: content_pb2.Message, user_id: str, duration_s: float
) -> conversations_pb2.ConversationMessage:
    """What the model said, as far as it came, and the bill."""
    kept = conversations_pb2.ConversationMessage(
        message=message,
        user_id=user_id,
        completion_id=completion.completion_id,
        provider=completion.provider,
        model=completion.model,
        usage=completion.usage,
        cost=completion.cost,
        charge=completion.charge,
        outcome=completion.outcome,
    )
    kept.response_duration.FromMilliseconds(round(duration_s * 1000))
    return kept


def first_said(completion: chat_pb2.Completion) -> content_pb2.Message:
    """Of several candidates the first goes on."""
    if not completion.candidates:
        return content_pb2.Message(role=content_pb2.ROLE_ASSISTANT)
    said = content_pb2.Message()
    said.CopyFrom(completion.candidates[0].message)
    said.role = content_pb2.ROLE_ASSISTANT
    return said
