"""Events of conversations: what was done in them, never what was said."""

from __future__ import annotations

from datetime import timedelta

from tests.fixtures.gateway import RunningGateway, user
from tests.fixtures.talks import Speaker
from trunkline.v1 import conversations_pb2, events_pb2
from trunkline_server.core import event
from trunkline_server.store.wishes import Wishes

SECRET = "hunter2"


async def told(gateway: RunningGateway) -> list[events_pb2.Event]:
    """All events so far, oldest first; they hold nothing that was said."""
    rows = await gateway.house.background.database.fetch("SELECT type, body::text FROM event ORDER BY number")
    assert SECRET not in str(rows)
    return [event.read(row[0], row[1]) for row in rows]


async def wish(gateway: RunningGateway) -> None:
    """Somebody wants to hear of messages."""
    tenant_id = await gateway.house.background.database.fetchval("SELECT tenant_id FROM tenant")
    await Wishes(gateway.house.background.database, timedelta(days=1)).note(tenant_id, ["MessageSent"])


async def test_a_conversation_from_its_beginning_to_its_end(gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    talk = await ada.begin(title=SECRET)
    await ada.update(talk, system_prompt=SECRET)
    await ada.append(talk, user(SECRET))
    fork = conversations_pb2.ForkConversationRequest(conversation_id=talk)
    other = (await gateway.conversations.ForkConversation(fork, metadata=ada.metadata)).conversation
    clear = conversations_pb2.ClearConversationRequest(conversation_id=talk)
    await gateway.conversations.ClearConversation(clear, metadata=ada.metadata)
    for _ in range(2):
        await Speaker(gateway).update(other.conversation_id, title=other.title)
    delete = conversations_pb2.DeleteConversationRequest(conversation_id=talk)
    await gateway.conversations.DeleteConversation(delete, metadata=ada.metadata)
    created, updated, forked, cleared, deleted = [each for each in await told(gateway) if "Conversation" in each.type]
    assert created.conversation_created == events_pb2.ConversationCreated(conversation_id=talk, user_id="ada")
    assert updated.conversation_updated == events_pb2.ConversationUpdated(conversation_id=talk, user_id="ada")
    assert (forked.conversation_created.conversation_id, forked.conversation_created.parent_id) == (
        other.conversation_id,
        talk,
    )
    assert cleared.conversation_updated.conversation_id == talk
    assert deleted.conversation_deleted == events_pb2.ConversationDeleted(conversation_id=talk, user_id="ada")


async def test_messages_are_told_where_somebody_wants_them(gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    talk = await ada.begin()
    await ada.ask(talk, SECRET)
    assert "MessageSent" not in {each.type for each in await told(gateway)}
    await wish(gateway)
    answer = await ada.ask(talk, SECRET)
    fork = conversations_pb2.ForkConversationRequest(conversation_id=talk)
    await gateway.conversations.ForkConversation(fork, metadata=ada.metadata)
    question, reply = [each.message_sent for each in await told(gateway) if each.type == "MessageSent"]
    assert [each.conversation_id for each in (question, reply)] == [talk, talk]
    assert [(each.position, each.role, each.user_id) for each in (question, reply)] == [(3, 3, "ada"), (4, 4, "ada")]
    assert [each.model for each in (question, reply)] == ["", f"{answer.provider}/{answer.model}"]
    listed = conversations_pb2.ListMessagesRequest(conversation_id=talk)
    messages = (await gateway.conversations.ListMessages(listed, metadata=ada.metadata)).messages
    assert {question.message_id, reply.message_id} <= {each.message_id for each in messages}
