"""`trunkline chat`: a question, or a conversation of many; answers on stdout as they come, bills on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from trunkline.v1 import chat_pb2, chat_pb2_grpc, content_pb2, conversations_pb2, conversations_pb2_grpc
from trunkline_server.cli.bill import note
from trunkline_server.cli.bill import show as show_bill
from trunkline_server.cli.failure import Misuse
from trunkline_server.cli.gateway import CALL_TIMEOUT_S, Gateway, to_gateway
from trunkline_server.cli.plain import shown
from trunkline_server.cli.rows import show_json

TOKENS_MAX = 10_000_000
MODEL = "sandbox/echo"

Metadata = tuple[tuple[str, str], ...]
Chat = chat_pb2_grpc.ChatServiceStub


@click.command("chat")
@click.argument("prompt", required=False)
@click.option("--model", default="", help=f"provider/model, or a model's own name.  [default: {MODEL}]")
@click.option("--conversation", default="", metavar="ID", help="Speak in this conversation; `new`: in a new one.")
@click.option("--system", default="", help="Instructions that the model follows.")
@click.option("--user", default="", help="The end user whom the call is charged to.")
@click.option("--max-output-tokens", type=click.IntRange(1, TOKENS_MAX), help="Longest answer.")
@click.option("--stream/--no-stream", default=True, help="As it comes, or in one piece.  [default: stream]")
@click.option("--json", "as_json", is_flag=True, help="Each event as a line of JSON; the completion with --no-stream.")
@to_gateway
def command(
    gateway: Gateway,
    /,
    *,
    prompt: str | None,
    model: str,
    conversation: str,
    system: str,
    user: str,
    max_output_tokens: int | None,
    stream: bool,
    as_json: bool,
) -> None:
    """Ask a model, and print its answer as it comes. Without PROMPT, or with -, it is read from stdin.

    With --conversation and without PROMPT every line of stdin is a question.
    """
    metadata = gateway.metadata(_sendable(user))
    sampling = chat_pb2.Sampling(max_output_tokens=max_output_tokens) if max_output_tokens else None
    if conversation == "new":
        conversation = _begin(gateway, model or MODEL, metadata)
    model = model or ("" if conversation else MODEL)
    question = chat_pb2.ChatInput(model=model, sampling=sampling, conversation_id=conversation)
    ask = _stream if stream else _complete
    for text in _texts(prompt, by_line=bool(conversation)):
        del question.messages[:]
        question.messages.extend(_messages(system, text))
        ask(chat_pb2_grpc.ChatServiceStub(gateway.channel), question, metadata, as_json=as_json)


def _stream(chat: Chat, question: chat_pb2.ChatInput, metadata: Metadata, *, as_json: bool) -> None:
    call = chat.Stream(chat_pb2.StreamRequest(input=question), metadata=metadata)
    try:
        _follow((response.event for response in call), as_json=as_json)
    finally:
        call.cancel()  # left early, by Ctrl-C or a closed pipe: it stops and is charged no further


def _complete(chat: Chat, question: chat_pb2.ChatInput, metadata: Metadata, *, as_json: bool) -> None:
    answer = chat.Complete(chat_pb2.CompleteRequest(input=question), metadata=metadata)
    _print_whole(answer.completion, as_json=as_json)


def _begin(gateway: Gateway, model: str, metadata: Metadata) -> str:
    """A new conversation, whose id is told."""
    settings = conversations_pb2.ConversationSettings(default_model=model)
    request = conversations_pb2.CreateConversationRequest(settings=settings)
    conversations = conversations_pb2_grpc.ConversationServiceStub(gateway.channel)
    made = conversations.CreateConversation(request, metadata=metadata, timeout=CALL_TIMEOUT_S).conversation
    click.secho(f"conversation {made.conversation_id}", dim=True, err=True)
    return made.conversation_id


def _texts(prompt: str | None, *, by_line: bool) -> Iterator[str]:
    """The questions, as they are typed."""
    if prompt is None and by_line:
        for line in sys.stdin.buffer:
            if line.strip():
                yield line.decode().rstrip("\n")
        return
    text = sys.stdin.buffer.read().decode() if prompt in (None, "-") else prompt
    if not text or not text.strip():
        raise Misuse("the prompt is empty; give it as an argument or on stdin")
    yield text


def _messages(system: str, text: str) -> Iterator[content_pb2.Message]:
    if system:
        yield _message(content_pb2.ROLE_SYSTEM, system)
    yield _message(content_pb2.ROLE_USER, text)


def _message(role: content_pb2.Role.ValueType, text: str) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=[content_pb2.Part(text=content_pb2.TextPart(text=text))])


def _sendable(user: str) -> str:
    if not user.isascii() or not user.isprintable():
        raise Misuse("--user: a user is printable ASCII on one line")
    return user


def _follow(events: Iterator[chat_pb2.ChatEvent], *, as_json: bool) -> None:
    if as_json:
        for event in events:
            show_json(event)
        return
    bill = chat_pb2.Completion()
    with _line() as say:
        for event in events:
            note(bill, event)
            say(_words(event))
    show_bill(bill)


def _words(event: chat_pb2.ChatEvent) -> str:
    return event.part_delta.text or event.part_delta.refusal


def _print_whole(completion: chat_pb2.Completion, *, as_json: bool) -> None:
    if as_json:
        return show_json(completion)
    with _line() as say:
        for part in completion.candidates[0].message.parts if completion.candidates else ():
            say(part.text.text or part.refusal.text)
    return show_bill(completion)


@contextmanager
def _line() -> Iterator[Callable[[str], None]]:
    """Takes pieces of text as they come, and ends the last line however they end."""
    last = "\n"

    def say(piece: str) -> None:
        nonlocal last
        if piece:
            click.echo(shown(piece), nl=False)
            last = piece[-1]

    try:
        yield say
    finally:
        if last != "\n":
            click.echo()
