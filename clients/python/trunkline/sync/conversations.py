"""Conversations that the gateway keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from trunkline.question import Question
from trunkline.sync.chat import Asking
from trunkline.sync.connection import Connection
from trunkline.v1 import chat_pb2, content_pb2, conversations_pb2, conversations_pb2_grpc


class Conversations:
    """The conversations of a gateway, as far as the user may reach them."""

    def __init__(self, connection: Connection, question: Question) -> None:
        self._connection = connection
        self._question = question
        self._stub = conversations_pb2_grpc.ConversationServiceStub(connection.channel)

    def create(
        self,
        *,
        user: str = "",
        model: str = "",
        system: str = "",
        title: str = "",
        participants: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        settings: conversations_pb2.ConversationSettings | None = None,
    ) -> Conversation:
        """A new one, of this end user. `model`: who answers in it; a call may ask another."""
        told = conversations_pb2.ConversationSettings()
        told.CopyFrom(settings or told)
        told.default_model = model or told.default_model or self._question.input.model or self._question.default_model
        request = conversations_pb2.CreateConversationRequest(
            title=title, system_prompt=system, settings=told, metadata=metadata, participants=participants
        )
        known = replace(self._question, user=user or self._question.user)
        made = self._connection.look(self._stub.CreateConversation, request, user=known.user)
        return Conversation(self._connection, known, made.conversation.conversation_id)

    def list(self, *, user: str = "") -> Iterator[conversations_pb2.Conversation]:
        """The youngest first."""
        request = conversations_pb2.ListConversationsRequest(user_id=user)
        for page in self._connection.pages(self._stub.ListConversations, request, user=self._question.user):
            for conversation in page.conversations:
                yield conversation

    def erase_user(self, user: str) -> None:
        """Removes at once and for good what this end user had and said."""
        request = conversations_pb2.EraseUserConversationsRequest(user_id=user)
        self._connection.look(self._stub.EraseUserConversations, request, user=self._question.user)


class Conversation(Asking):
    """One of them: `send` and `stream` speak in it, with all options of a call."""

    def __init__(self, connection: Connection, question: Question, conversation_id: str) -> None:
        within = chat_pb2.ChatInput(conversation_id=conversation_id)
        super().__init__(connection, replace(question.plus(within), default_model=""))
        self.conversation_id = conversation_id
        self._talks = conversations_pb2_grpc.ConversationServiceStub(connection.channel)

    def describe(self) -> conversations_pb2.Conversation:
        """Its title, settings, counts."""
        request = conversations_pb2.GetConversationRequest(conversation_id=self.conversation_id)
        return (self._connection.look(self._talks.GetConversation, request, user=self._question.user)).conversation

    def history(self, *, newest_first: bool = False) -> Iterator[conversations_pb2.ConversationMessage]:
        """What was said, with the bill of each answer."""
        request = conversations_pb2.ListMessagesRequest(conversation_id=self.conversation_id, newest_first=newest_first)
        for page in self._connection.pages(self._talks.ListMessages, request, user=self._question.user):
            for message in page.messages:
                yield message

    def append(self, *messages: content_pb2.Message) -> None:
        """Adds what was said elsewhere."""
        request = conversations_pb2.AppendMessagesRequest(
            conversation_id=self.conversation_id,
            messages=[conversations_pb2.NewMessage(message=message) for message in messages],
        )
        self._connection.look(self._talks.AppendMessages, request, user=self._question.user)

    def rename(self, title: str) -> None:
        request = conversations_pb2.UpdateConversationRequest(conversation_id=self.conversation_id, title=title)
        self._connection.look(self._talks.UpdateConversation, request, user=self._question.user)

    def fork(self, *, through_position: int = 0) -> Conversation:
        """A new one that begins as this one did."""
        request = conversations_pb2.ForkConversationRequest(
            conversation_id=self.conversation_id, through_position=through_position
        )
        made = self._connection.look(self._talks.ForkConversation, request, user=self._question.user)
        return Conversation(self._connection, self._question, made.conversation.conversation_id)

    def clear(self) -> int:
        """Removes all messages; how many there were."""
        request = conversations_pb2.ClearConversationRequest(conversation_id=self.conversation_id)
        cleared = self._connection.look(self._talks.ClearConversation, request, user=self._question.user)
        return cleared.removed_count

    def delete(self) -> None:
        request = conversations_pb2.DeleteConversationRequest(conversation_id=self.conversation_id)
        self._connection.look(self._talks.DeleteConversation, request, user=self._question.user)
