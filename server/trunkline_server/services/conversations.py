"""ConversationService: what users say to models, kept. One that a caller may not reach is not there for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid5

from google.protobuf.duration_pb2 import Duration

from trunkline.v1 import conversations_pb2
from trunkline_server.core import history, ids, money, question
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, invalid, not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.store.conversation_messages import ConversationMessages, Saying, Stats
from trunkline_server.store.conversation_tails import ConversationTails
from trunkline_server.store.conversations import Conversation, Conversations, Draft, Reader


@dataclass(frozen=True)
class ConversationService:
    """A call that names an end user sees what that user may; one that names none sees the tenant's."""

    conversations: Conversations
    messages: ConversationMessages
    tails: ConversationTails
    tokens: PageTokens
    policy: EgressPolicy

    async def create_conversation(
        self, call: Call, request: conversations_pb2.CreateConversationRequest
    ) -> conversations_pb2.CreateConversationResponse:
        draft = Draft(
            title=readable("title", request.title),
            system_prompt=_text("system_prompt", request.system_prompt),
            settings=request.settings.SerializeToString(),
            metadata=_metadata("metadata", request.metadata),
            participants=_users("participants", request.participants),
        )
        made = await self.conversations.create(_reader(call), draft)
        return conversations_pb2.CreateConversationResponse(conversation=_conversation(made))

    async def get_conversation(
        self, call: Call, request: conversations_pb2.GetConversationRequest
    ) -> conversations_pb2.GetConversationResponse:
        found = await self._find(call, request.conversation_id)
        return conversations_pb2.GetConversationResponse(conversation=_conversation(found))

    async def list_conversations(
        self, call: Call, request: conversations_pb2.ListConversationsRequest
    ) -> conversations_pb2.ListConversationsResponse:
        reader = _reader(call)
        paging = self.tokens.paging(reader.tenant_id, request, _named(reader))
        rows = await self.conversations.page(
            reader, readable("user_id", request.user_id), paging.behind_id, paging.limit
        )
        page, token = paging.cut(rows, lambda row: (row.conversation_id.hex,))
        return conversations_pb2.ListConversationsResponse(
            conversations=map(_conversation, page), next_page_token=token
        )

    async def update_conversation(
        self, call: Call, request: conversations_pb2.UpdateConversationRequest
    ) -> conversations_pb2.UpdateConversationResponse:
        conversation_id = _conversation_id(request.conversation_id)
        draft = _changes(request)
        if draft.participants is not None:
            await self._require_owner(call, conversation_id)
        changed = await self.conversations.update(_reader(call), conversation_id, draft)
        return conversations_pb2.UpdateConversationResponse(conversation=_conversation(changed))

    async def delete_conversation(
        self, call: Call, request: conversations_pb2.DeleteConversationRequest
    ) -> conversations_pb2.DeleteConversationResponse:
        await self.conversations.delete(_reader(call), _conversation_id(request.conversation_id))
        await self.tails.forget(call.caller.tenant_id)
        return conversations_pb2.DeleteConversationResponse()

    async def clear_conversation(
        self, call: Call, request: conversations_pb2.ClearConversationRequest
    ) -> conversations_pb2.ClearConversationResponse:
        removed = await self.conversations.clear(_reader(call), _conversation_id(request.conversation_id))
        await self.tails.forget(call.caller.tenant_id)
        return conversations_pb2.ClearConversationResponse(removed_count=removed)

    async def append_messages(
        self, call: Call, request: conversations_pb2.AppendMessagesRequest
    ) -> conversations_pb2.AppendMessagesResponse:
        found = await self._find(call, request.conversation_id)
        kept = [
            conversations_pb2.ConversationMessage(
                message=new.message,
                metadata=_metadata(f"messages[{index}].metadata", new.metadata),
                user_id=call.user_id,
            )
            for index, new in enumerate(request.messages)
        ]
        await self._check(found, kept)
        settings = conversations_pb2.ConversationSettings.FromString(found.settings)
        is_titled = settings.auto_title != conversations_pb2.AUTO_TITLE_OFF
        title = history.title_of(each.message for each in kept) if is_titled else ""
        placed = await self.messages.append(Saying(found.conversation_id, kept, title))
        if placed is None:
            raise not_found("conversation", request.conversation_id)
        return conversations_pb2.AppendMessagesResponse(
            message_ids=[each.message_id for each in kept], last_position=placed.last_position
        )

    async def list_messages(
        self, call: Call, request: conversations_pb2.ListMessagesRequest
    ) -> conversations_pb2.ListMessagesResponse:
        found = await self._find(call, request.conversation_id)
        paging = self.tokens.paging(call.caller.tenant_id, request, found.conversation_id)
        behind = paging.behind
        rows = await self.messages.page(found.conversation_id, behind, paging.limit, newest_first=request.newest_first)
        page, token = paging.cut(rows, lambda row: (row.position,))
        return conversations_pb2.ListMessagesResponse(messages=page, next_page_token=token)

    async def fork_conversation(
        self, call: Call, request: conversations_pb2.ForkConversationRequest
    ) -> conversations_pb2.ForkConversationResponse:
        forked = await self.conversations.fork(
            _reader(call),
            _conversation_id(request.conversation_id),
            readable("title", request.title),
            request.through_position or None,
        )
        return conversations_pb2.ForkConversationResponse(conversation=_conversation(forked))

    async def erase_user_conversations(
        self, call: Call, request: conversations_pb2.EraseUserConversationsRequest
    ) -> conversations_pb2.EraseUserConversationsResponse:
        if call.user_id and call.user_id != request.user_id:
            raise invalid("user_id", "is another end user than the call's", Reason.FIELD_FORBIDDEN)
        user_id = readable("user_id", request.user_id)
        conversations, messages = await self.conversations.erase_user(call.caller.tenant_id, user_id)
        await self.tails.forget(call.caller.tenant_id)
        return conversations_pb2.EraseUserConversationsResponse(
            conversation_count=conversations, message_count=messages
        )

    async def get_conversation_stats(
        self, call: Call, request: conversations_pb2.GetConversationStatsRequest
    ) -> conversations_pb2.GetConversationStatsResponse:
        found = await self._find(call, request.conversation_id)
        stats = _stats(await self.messages.stats(found.conversation_id))
        return conversations_pb2.GetConversationStatsResponse(stats=stats)

    async def _find(self, call: Call, conversation_id: str) -> Conversation:
        return await self.conversations.find(_reader(call), _conversation_id(conversation_id))

    async def _require_owner(self, call: Call, conversation_id: UUID) -> None:
        found = await self.conversations.find(_reader(call), conversation_id)
        if call.user_id and call.user_id != found.user_id:
            raise invalid("participants", "are for the conversation's own user to say", Reason.FIELD_FORBIDDEN)

    async def _check(self, found: Conversation, kept: Iterable[conversations_pb2.ConversationMessage]) -> None:
        """What a call could not send is not kept either."""
        messages = [each.message for each in kept]
        call_ids: set[str] = set()
        if history.answers_calls(messages):
            for earlier in await self.messages.last_turn(found.conversation_id):
                call_ids |= history.call_ids(earlier.message.message)
        question.check_messages(messages, call_ids, self.policy)


def _conversation_id(text: str) -> UUID:
    return ids.require("conv", "conversation", text)


def _reader(call: Call) -> Reader:
    return Reader(call.caller.tenant_id, call.user_id)


def _named(reader: Reader) -> UUID:
    """The user as an id, for page tokens: they are good for who got them."""
    return uuid5(reader.tenant_id, reader.user_id)


def _text(path: str, text: str) -> str:
    question.check_name(text, path)
    return text


def _metadata(path: str, entries: Mapping[str, str]) -> dict[str, str]:
    for key, value in entries.items():
        readable(path, key), _text(path, value)
    return dict(entries)


def _users(path: str, users: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(readable(path, user) for user in users))


def _changes(request: conversations_pb2.UpdateConversationRequest) -> Draft:
    has = request.HasField
    return Draft(
        title=readable("title", request.title) if has("title") else None,
        system_prompt=_text("system_prompt", request.system_prompt) if has("system_prompt") else None,
        settings=request.settings.SerializeToString() if has("settings") else None,
        metadata=_metadata("metadata", request.metadata.entries) if has("metadata") else None,
        participants=_users("participants", request.participants.user_ids) if has("participants") else None,
    )


def _conversation(row: Conversation) -> conversations_pb2.Conversation:
    return conversations_pb2.Conversation(
        conversation_id=ids.spell("conv", row.conversation_id),
        user_id=row.user_id,
        title=row.title,
        system_prompt=row.system_prompt,
        settings=conversations_pb2.ConversationSettings.FromString(row.settings),
        metadata=row.metadata,
        participants=row.participants,
        parent_conversation_id=ids.spell("conv", row.parent_id) if row.parent_id else "",
        message_count=row.message_count,
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
        summary=row.summary,
        summary_through_position=row.summary_through,
    )


def _stats(stats: Stats) -> conversations_pb2.ConversationStats:
    average = Duration()
    average.FromTimedelta(timedelta(milliseconds=stats.average_duration_ms))
    return conversations_pb2.ConversationStats(
        message_count=stats.message_count,
        user_message_count=stats.user_message_count,
        assistant_message_count=stats.assistant_message_count,
        input_tokens=stats.input_tokens,
        output_tokens=stats.output_tokens,
        cost=money.usd(stats.cost_nano_usd),
        charge=money.credits(stats.charge_nanos),
        average_response_duration=average,
        models=stats.models or (),
        first_message_time=timestamp(stats.first_time),
        last_message_time=timestamp(stats.last_time),
    )
