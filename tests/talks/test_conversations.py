"""Conversations, over a socket: every verb, and who may reach what."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest
from google.protobuf.message import Message

from tests.fixtures.gateway import RunningGateway, user
from tests.fixtures.refusal import Refusal, invalid, refusal, send
from tests.fixtures.talks import Speaker, another_tenant, reply, settings
from trunkline.v1 import admin_pb2, content_pb2, conversations_pb2

NOT_FOUND: Final = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
NOBODYS: Final = "conv_" + "1" * 32


@pytest.fixture
def ada(gateway: RunningGateway) -> Speaker:
    return Speaker(gateway, "ada")


@pytest.fixture
def bob(gateway: RunningGateway) -> Speaker:
    return Speaker(gateway, "bob")


def about(talk: str) -> dict[str, Message]:
    """A request for every method that names a conversation."""
    new = [conversations_pb2.NewMessage(message=user("x"))]
    return {
        "GetConversation": conversations_pb2.GetConversationRequest(conversation_id=talk),
        "UpdateConversation": conversations_pb2.UpdateConversationRequest(conversation_id=talk, title="mine"),
        "DeleteConversation": conversations_pb2.DeleteConversationRequest(conversation_id=talk),
        "ClearConversation": conversations_pb2.ClearConversationRequest(conversation_id=talk),
        "AppendMessages": conversations_pb2.AppendMessagesRequest(conversation_id=talk, messages=new),
        "ListMessages": conversations_pb2.ListMessagesRequest(conversation_id=talk),
        "ForkConversation": conversations_pb2.ForkConversationRequest(conversation_id=talk),
        "GetConversationStats": conversations_pb2.GetConversationStatsRequest(conversation_id=talk),
    }


async def test_a_conversation_is_told_as_it_was_made(ada: Speaker) -> None:
    made = settings(max_messages=7, temperature=0.5, auto_title=conversations_pb2.AUTO_TITLE_OFF)
    talk = await ada.begin(
        title="plans", system_prompt="be kind", settings=made, metadata={"a": "b"}, participants=["bob", "cy", "bob"]
    )
    told = await ada.look(talk)
    assert (told.conversation_id, told.user_id, told.title, told.system_prompt) == (talk, "ada", "plans", "be kind")
    assert (told.settings, dict(told.metadata), list(told.participants)) == (made, {"a": "b"}, ["bob", "cy"])
    assert told.message_count == 0
    assert told.create_time == told.update_time


async def test_an_update_changes_what_it_gives_and_leaves_the_rest(ada: Speaker) -> None:
    talk = await ada.begin(title="one", system_prompt="be kind", metadata={"a": "b"})
    changed = await ada.update(talk, title="two")
    assert (changed.title, changed.system_prompt, dict(changed.metadata)) == ("two", "be kind", {"a": "b"})
    entries = conversations_pb2.ConversationMetadata(entries={"c": "d"})
    changed = await ada.update(talk, system_prompt="", metadata=entries, settings=settings(max_messages=3))
    assert (changed.title, changed.system_prompt, dict(changed.metadata)) == ("two", "", {"c": "d"})
    assert changed.settings.max_messages == 3
    assert changed == await ada.look(talk)


async def test_making_one_twice_by_one_request_makes_one(ada: Speaker) -> None:
    assert await ada.begin(request_id="r") == await ada.begin(request_id="r")
    assert len((await ada.conversations()).conversations) == 1


async def test_conversations_are_listed_youngest_first(ada: Speaker, bob: Speaker, gateway: RunningGateway) -> None:
    talks = [await ada.begin(title=str(n)) for n in range(3)]
    theirs = await bob.begin(participants=["ada"])
    await bob.begin()
    first = await ada.conversations(page_size=3)
    second = await ada.conversations(page_size=3, page_token=first.next_page_token)
    listed = [each.conversation_id for each in (*first.conversations, *second.conversations)]
    assert listed == [theirs, *reversed(talks)]
    assert not second.next_page_token
    assert [each.conversation_id for each in (await ada.conversations(user_id="bob")).conversations] == [theirs]
    tenant = Speaker(gateway)
    assert len((await tenant.conversations()).conversations) == 5
    assert len((await tenant.conversations(user_id="bob")).conversations) == 2
    for token in (first.next_page_token[:-4] + "AAAA", "x", first.next_page_token + "="):
        assert await refusal(ada.conversations(page_token=token)) == invalid("page_token", "PAGE_TOKEN_INVALID")
    assert await refusal(bob.conversations(page_token=first.next_page_token)) == invalid(
        "page_token", "PAGE_TOKEN_INVALID"
    )


async def test_what_is_deleted_is_gone_for_everybody(ada: Speaker, gateway: RunningGateway) -> None:
    talk = await ada.begin()
    await ada.append(talk, user("hi"))
    delete = "/trunkline.v1.ConversationService/DeleteConversation"
    await send(gateway.channel, delete, about(talk)["DeleteConversation"], ada.metadata)
    for method, request in about(talk).items():
        path = f"/trunkline.v1.ConversationService/{method}"
        assert await refusal(send(gateway.channel, path, request, ada.metadata)) == NOT_FOUND
    assert not (await ada.conversations()).conversations
    assert await refusal(ada.ask(talk, "hi")) == NOT_FOUND


async def test_what_one_may_not_reach_is_not_there(ada: Speaker, gateway: RunningGateway) -> None:
    talk = await ada.begin(title="secret")
    await ada.append(talk, user("hi"))
    before = await ada.look(talk)
    foreign = await another_tenant(gateway)
    for metadata in (gateway.metadata("bob"), foreign, (*foreign, ("x-trunkline-user", "ada"))):
        for id_ in (talk, NOBODYS, "conv_x", "acct_" + talk.removeprefix("conv_"), "a\0b", talk.upper()):
            for method, request in about(id_).items():
                path = f"/trunkline.v1.ConversationService/{method}"
                assert await refusal(send(gateway.channel, path, request, metadata)) == NOT_FOUND
    assert await refusal(Speaker(gateway, "bob").ask(talk, "hi")) == NOT_FOUND
    assert await ada.look(talk) == before


async def test_participants_speak_and_only_the_owner_says_who_they_are(ada: Speaker, bob: Speaker) -> None:
    talk = await ada.begin(participants=["bob"])
    await bob.ask(talk, "hello")
    assert [each.user_id for each in await ada.kept(talk)] == ["bob", "bob"]
    others = conversations_pb2.Participants(user_ids=["eve"])
    forbidden = Refusal("PERMISSION_DENIED", "FIELD_FORBIDDEN", "participants")
    assert await refusal(bob.update(talk, participants=others)) == forbidden
    await ada.update(talk, participants=others)
    assert await refusal(bob.look(talk)) == NOT_FOUND
    await Speaker(bob.gateway).update(talk, participants=conversations_pb2.Participants())
    assert not (await ada.look(talk)).participants


async def test_messages_are_added_by_hand_and_listed_from_either_end(ada: Speaker) -> None:
    talk = await ada.begin()
    assert await ada.append(talk, *(user(str(n)) for n in range(5))) == 5
    assert await ada.append(talk, reply("5")) == 6
    pages: list[list[int]] = []
    token = ""
    while not pages or token:
        page = await ada.page(talk, page_size=4, page_token=token, newest_first=True)
        pages.append([each.position for each in page.messages])
        token = page.next_page_token
    assert pages == [[6, 5, 4, 3], [2, 1]]
    first = await ada.page(talk, page_size=4)
    assert [each.position for each in first.messages] == [1, 2, 3, 4]
    told = await refusal(ada.page(talk, page_token=first.next_page_token, newest_first=True))
    assert told == invalid("page_token", "PAGE_TOKEN_INVALID")
    other = await ada.begin()
    told = await refusal(ada.page(other, page_token=first.next_page_token))
    assert told == invalid("page_token", "PAGE_TOKEN_INVALID")


async def test_what_is_added_has_an_id_and_metadata(ada: Speaker) -> None:
    talk = await ada.begin()
    new = [conversations_pb2.NewMessage(message=user("hi"), metadata={"from": "letter"})]
    request = conversations_pb2.AppendMessagesRequest(conversation_id=talk, messages=new, request_id="r")
    added = await ada.gateway.conversations.AppendMessages(request, metadata=ada.metadata)
    again = await ada.gateway.conversations.AppendMessages(request, metadata=ada.metadata)
    assert again == added
    (kept,) = await ada.kept(talk)
    assert [kept.message_id] == list(added.message_ids)
    assert (kept.message, dict(kept.metadata), kept.user_id) == (user("hi"), {"from": "letter"}, "ada")
    assert (kept.completion_id, kept.HasField("create_time")) == ("", True)


async def test_messages_added_at_once_all_get_a_place(ada: Speaker, bob: Speaker) -> None:
    talk = await ada.begin(participants=["bob"])
    adding = [(ada, bob)[n % 2].append(talk, user(f"{n} first"), user(f"{n} second")) for n in range(20)]
    places = await asyncio.gather(*adding)
    assert sorted(places) == list(range(2, 41, 2))
    said = await ada.said(talk)
    assert len(said) == 40
    assert all(one.split()[0] == two.split()[0] for one, two in zip(said[::2], said[1::2], strict=True))
    assert (await ada.look(talk)).message_count == 40


async def test_clearing_removes_the_messages_alone(ada: Speaker) -> None:
    talk = await ada.begin(title="stays")
    await ada.append(talk, user("1"), reply("2"))
    request = conversations_pb2.ClearConversationRequest(conversation_id=talk)
    cleared = await ada.gateway.conversations.ClearConversation(request, metadata=ada.metadata)
    assert cleared.removed_count == 2
    told = await ada.look(talk)
    assert (told.title, told.message_count) == ("stays", 0)
    assert await ada.append(talk, user("3")) == 3


async def test_a_fork_goes_its_own_way(ada: Speaker, bob: Speaker) -> None:
    talk = await ada.begin(title="plans", system_prompt="be kind", metadata={"a": "b"}, participants=["bob"])
    await ada.append(talk, user("1"), reply("2"), user("3"))
    request = conversations_pb2.ForkConversationRequest(conversation_id=talk, through_position=2, request_id="r")
    forked = (await bob.gateway.conversations.ForkConversation(request, metadata=bob.metadata)).conversation
    again = (await bob.gateway.conversations.ForkConversation(request, metadata=bob.metadata)).conversation
    assert again == forked
    assert (forked.parent_conversation_id, forked.user_id, forked.message_count) == (talk, "bob", 2)
    assert (forked.title, forked.system_prompt, dict(forked.metadata)) == ("plans", "be kind", {"a": "b"})
    assert not forked.participants
    await bob.append(forked.conversation_id, user("4"))
    assert await bob.said(forked.conversation_id) == ["1", "2", "4"]
    assert await ada.said(talk) == ["1", "2", "3"]
    one, other = await ada.kept(talk), await bob.kept(forked.conversation_id)
    assert not {each.message_id for each in one} & {each.message_id for each in other}
    assert await refusal(ada.look(forked.conversation_id)) == NOT_FOUND
    whole = conversations_pb2.ForkConversationRequest(conversation_id=talk, title="other")
    copied = (await ada.gateway.conversations.ForkConversation(whole, metadata=ada.metadata)).conversation
    assert (copied.title, copied.message_count) == ("other", 3)


async def test_what_is_said_is_counted(ada: Speaker) -> None:
    talk = await ada.begin()
    answers = [await ada.ask(talk, "one two"), await ada.ask(talk, "three", "sandbox/count")]
    await ada.append(talk, user("more"))
    request = conversations_pb2.GetConversationStatsRequest(conversation_id=talk)
    stats = (await ada.gateway.conversations.GetConversationStats(request, metadata=ada.metadata)).stats
    assert (stats.message_count, stats.user_message_count, stats.assistant_message_count) == (5, 3, 2)
    assert stats.input_tokens == sum(each.usage.input_tokens for each in answers)
    assert stats.output_tokens == sum(each.usage.output_tokens for each in answers)
    assert stats.cost.nanos == sum(each.cost.nanos for each in answers)
    assert stats.charge.nanos == sum(each.charge.nanos for each in answers) > 0
    assert list(stats.models) == ["sandbox/count", "sandbox/echo"]
    assert stats.first_message_time.ToNanoseconds() <= stats.last_message_time.ToNanoseconds()


async def test_nothing_was_said_yet(ada: Speaker) -> None:
    request = conversations_pb2.GetConversationStatsRequest(conversation_id=await ada.begin())
    stats = (await ada.gateway.conversations.GetConversationStats(request, metadata=ada.metadata)).stats
    assert (stats.message_count, list(stats.models), stats.HasField("first_message_time")) == (0, [], False)


async def test_what_cannot_be_kept_is_refused(ada: Speaker) -> None:
    for title in ("x" * 201, "a\nb", "a\0b"):
        assert await refusal(ada.begin(title=title)) == invalid("title")
    assert await refusal(ada.begin(system_prompt="a\0b")) == invalid("system_prompt")
    assert await refusal(ada.begin(metadata={"a": "b\0"})) == invalid("metadata")
    assert await refusal(ada.begin(participants=[""])) == invalid("participants[0]")
    assert await refusal(ada.begin(settings=settings(max_messages=1001))) == invalid("settings.max_messages")
    assert await refusal(ada.begin(settings=settings(temperature=3))) == invalid("settings.temperature")
    talk = await ada.begin()
    assert await refusal(ada.update(talk, title="x" * 201)) == invalid("title")
    assert await refusal(ada.append(talk)) == invalid("messages")
    assert await refusal(ada.append(talk, *[user("x")] * 10_001)) == invalid("messages")
    assert await refusal(ada.append(talk, content_pb2.Message())) == invalid("messages[0].message.role")
    result = content_pb2.Message(role=content_pb2.ROLE_TOOL)
    result.parts.add().tool_result.call_id = "nobody"
    told = await refusal(ada.append(talk, user("x"), result))
    assert told == invalid("messages[1].parts[0].tool_result.call_id")
    assert await ada.said(talk) == []


async def test_a_result_may_answer_a_call_that_was_added_before(ada: Speaker) -> None:
    talk = await ada.begin()
    call = content_pb2.Message(role=content_pb2.ROLE_ASSISTANT)
    call.parts.add().tool_call.MergeFrom(content_pb2.ToolCallPart(call_id="one", name="look", arguments_json="{}"))
    result = content_pb2.Message(role=content_pb2.ROLE_TOOL)
    result.parts.add().tool_result.MergeFrom(content_pb2.ToolResultPart(call_id="one", parts=user("seen").parts))
    await ada.append(talk, user("look"), call)
    assert await ada.append(talk, result) == 3


async def test_a_user_is_erased(ada: Speaker, bob: Speaker) -> None:
    own, deleted, theirs = await ada.begin(), await ada.begin(), await bob.begin(participants=["ada"])
    await ada.append(own, *[user("x")] * 10)
    await ada.gateway.conversations.DeleteConversation(
        conversations_pb2.DeleteConversationRequest(conversation_id=deleted), metadata=ada.metadata
    )
    await bob.append(theirs, user("from bob"))
    await ada.ask(theirs, "from ada")
    request = conversations_pb2.EraseUserConversationsRequest(user_id="ada")
    erase = bob.gateway.conversations.EraseUserConversations
    forbidden = Refusal("PERMISSION_DENIED", "FIELD_FORBIDDEN", "user_id")
    assert await refusal(erase(request, metadata=bob.metadata)) == forbidden
    foreign = await another_tenant(bob.gateway)
    assert (await erase(request, metadata=foreign)).conversation_count == 0
    erased = await erase(request, metadata=ada.metadata)
    assert (erased.conversation_count, erased.message_count) == (2, 2)
    left = await bob.look(theirs)
    assert (list(left.participants), left.message_count) == ([], 1)
    assert await bob.said(theirs) == ["from bob"]
    assert not (await ada.conversations()).conversations


async def test_the_scopes_of_a_key(ada: Speaker, gateway: RunningGateway) -> None:
    talk = await ada.begin()
    made = admin_pb2.CreateApiKeyRequest(name="k", scopes=["chat:write", "conversations:read"])
    key = (await gateway.admin.CreateApiKey(made, metadata=gateway.metadata())).secret
    for method, request in about(talk).items():
        path = f"/trunkline.v1.ConversationService/{method}"
        told = await refusal(send(gateway.channel, path, request, gateway.metadata("ada", key)))
        assert told.code == ("OK" if method.startswith(("Get", "List")) else "PERMISSION_DENIED")
