"""`trunkline chat`: one question, its answer on stdout as it comes, the bill on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from trunkline.v1 import chat_pb2, chat_pb2_grpc, content_pb2
from trunkline_server.cli.bill import note
from trunkline_server.cli.bill import show as show_bill
from trunkline_server.cli.failure import Misuse
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.plain import shown
from trunkline_server.cli.rows import show_json

TOKENS_MAX = 10_000_000


@click.command("chat")
@click.argument("prompt", default="-")
@click.option("--model", default="sandbox/echo", show_default=True, help="provider/model, or a model's own name.")
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
    prompt: str,
    model: str,
    system: str,
    user: str,
    max_output_tokens: int | None,
    stream: bool,
    as_json: bool,
) -> None:
    """Ask a model, and print its answer as it comes. Without PROMPT, or with -, it is read from stdin."""
    metadata = gateway.metadata(_sendable(user))
    question = _question(prompt, model, system, max_output_tokens)
    chat = chat_pb2_grpc.ChatServiceStub(gateway.channel)
    if stream:
        call = chat.Stream(chat_pb2.StreamRequest(input=question), metadata=metadata)
        try:
            _follow((response.event for response in call), as_json=as_json)
        finally:
            call.cancel()  # left early, by Ctrl-C or a closed pipe: it stops and is charged no further
    else:
        answer = chat.Complete(chat_pb2.CompleteRequest(input=question), metadata=metadata)
        _print_whole(answer.completion, as_json=as_json)


def _question(prompt: str, model: str, system: str, max_output_tokens: int | None) -> chat_pb2.ChatInput:
    text = sys.stdin.buffer.read().decode() if prompt == "-" else prompt
    if not text.strip():
        raise Misuse("the prompt is empty; give it as an argument or on stdin")
    messages = [_message(content_pb2.ROLE_SYSTEM, system)] if system else []
    messages.append(_message(content_pb2.ROLE_USER, text))
    sampling = chat_pb2.Sampling(max_output_tokens=max_output_tokens) if max_output_tokens else None
    return chat_pb2.ChatInput(model=model, messages=messages, sampling=sampling)


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
