"""`trunkline conversations`: what is kept of what users and models said."""

from __future__ import annotations

import click

from trunkline.v1 import conversations_pb2, conversations_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import listing, show, show_json, when


@click.group("conversations")
def command() -> None:
    """List conversations, export and delete them, and erase what a user said."""


@command.command("list")
@click.option("--user", default="", help="Only this end user's.")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, user: str, limit: int | None, as_json: bool) -> None:
    """List the tenant's conversations, youngest first."""
    request = conversations_pb2.ListConversationsRequest(user_id=user)
    pages = gateway.pages(_service(gateway).ListConversations, request, limit)
    show((each for page in pages for each in page.conversations), _COLUMNS, as_json=as_json)


@command.command("export")
@click.argument("conversation")
@to_gateway
def export(gateway: Gateway, /, *, conversation: str) -> None:
    """Print a conversation, then each of its messages, as lines of JSON."""
    service = _service(gateway)
    request = conversations_pb2.GetConversationRequest(conversation_id=conversation)
    show_json(gateway.call(service.GetConversation, request).conversation)
    messages = conversations_pb2.ListMessagesRequest(conversation_id=conversation)
    for page in gateway.pages(service.ListMessages, messages, None):
        for message in page.messages:
            show_json(message)


@command.command("delete")
@click.argument("conversation")
@to_gateway
def delete(gateway: Gateway, /, *, conversation: str) -> None:
    """Take a conversation out of everybody's reach."""
    request = conversations_pb2.DeleteConversationRequest(conversation_id=conversation)
    gateway.call(_service(gateway).DeleteConversation, request)


@command.command("erase-user")
@click.argument("user")
@to_gateway
def erase_user(gateway: Gateway, /, *, user: str) -> None:
    """Remove all conversations of an end user at once, and what they said in those of others."""
    request = conversations_pb2.EraseUserConversationsRequest(user_id=user)
    erased = gateway.call(_service(gateway).EraseUserConversations, request)
    click.echo(f"{erased.conversation_count} conversations, {erased.message_count} messages in those of others")


def _service(gateway: Gateway) -> conversations_pb2_grpc.ConversationServiceStub:
    return conversations_pb2_grpc.ConversationServiceStub(gateway.channel)


_COLUMNS = {
    "CONVERSATION": lambda talk: talk.conversation_id,
    "USER": lambda talk: talk.user_id,
    "TITLE": lambda talk: talk.title,
    "MESSAGES": lambda talk: str(talk.message_count),
    "CHANGED": lambda talk: when(talk.update_time),
}
