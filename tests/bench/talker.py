"""Somebody in a long conversation, who asks one question after the other."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import grpc
import uvloop

from tests.bench.child import orders, say
from tests.bench.load import MODEL, question
from trunkline.v1 import chat_pb2, chat_pb2_grpc, content_pb2, conversations_pb2, conversations_pb2_grpc

MESSAGES: Final = 10_000
AT_ONCE: Final = 500
ROLES: Final = (content_pb2.ROLE_USER, content_pb2.ROLE_ASSISTANT)

Metadata = tuple[tuple[str, str], ...]


async def begin(channel: grpc.aio.Channel, metadata: Metadata) -> str:
    """A conversation of 10,000 messages, of which 200 go with a call."""
    conversations = conversations_pb2_grpc.ConversationServiceStub(channel)
    settings = conversations_pb2.ConversationSettings(default_model=MODEL)
    made = await conversations.CreateConversation(
        conversations_pb2.CreateConversationRequest(settings=settings), metadata=metadata
    )
    talk = str(made.conversation.conversation_id)
    for start in range(0, MESSAGES, AT_ONCE):
        new = [_message(number) for number in range(start, start + AT_ONCE)]
        request = conversations_pb2.AppendMessagesRequest(conversation_id=talk, messages=new)
        await conversations.AppendMessages(request, metadata=metadata)
    return talk


def _message(number: int) -> conversations_pb2.NewMessage:
    text = content_pb2.TextPart(text=f"What was said as number {number} about the city of Lisbon, and a little more.")
    message = content_pb2.Message(role=ROLES[number % 2], parts=[content_pb2.Part(text=text)])
    return conversations_pb2.NewMessage(message=message)


async def ask_for(channel: grpc.aio.Channel, metadata: Metadata, talk: str, seconds: float) -> int:
    """Asks until the time is over; how many answers came."""
    loop, count = asyncio.get_running_loop(), 0
    until = loop.time() + seconds
    chat = chat_pb2_grpc.ChatServiceStub(channel)
    input = question("whole")
    input.conversation_id = talk
    while loop.time() < until:
        await chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=metadata, timeout=20)
        count += 1
    return count


async def main() -> None:
    metadata = (("authorization", f"Bearer {sys.argv[2]}"), ("x-trunkline-user", "bench"))
    async with grpc.aio.insecure_channel(sys.argv[1]) as channel:
        talk = await begin(channel, metadata)
        say({})
        async for order in orders():
            say({"count": await ask_for(channel, metadata, talk, order["seconds"]), "failed": 0})


if __name__ == "__main__":
    uvloop.run(main())
