"""What an answer used and cost, dimmed and on stderr, so that stdout holds the answer and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import click

from trunkline.v1 import chat_pb2
from trunkline_server.cli.plain import one_line
from trunkline_server.core.money import to_decimal_text


def note(bill: chat_pb2.Completion, event: chat_pb2.ChatEvent) -> None:
    """Takes from the event of a stream what the bill tells."""
    match event.WhichOneof("event"):
        case "started":
            started = event.started
            bill.completion_id, bill.provider, bill.model = started.completion_id, started.provider, started.model
        case "candidate_completed":
            bill.candidates.add(finish_reason=event.candidate_completed.finish_reason)
        case "completed":
            bill.usage.CopyFrom(event.completed.usage)
            bill.charge.CopyFrom(event.completed.charge)
            bill.warnings.extend(event.completed.warnings)
        case _:
            return


def show(completion: chat_pb2.Completion) -> None:
    """Warnings, a line each, then the bill."""
    for warning in completion.warnings:
        click.secho(one_line(f"warning: {warning.field} {warning.message}"), dim=True, err=True)
    click.secho(one_line(", ".join(_facts(completion))), dim=True, err=True)


def _facts(completion: chat_pb2.Completion) -> Iterator[str]:
    usage = completion.usage
    yield f"{completion.provider}/{completion.model}"
    yield f"{usage.input_tokens} input + {usage.output_tokens} output tokens"
    yield f"{to_decimal_text(completion.charge.nanos)} credits"
    yield completion.completion_id
    for candidate in completion.candidates:
        if candidate.finish_reason != chat_pb2.FINISH_REASON_STOP:
            name = chat_pb2.FinishReason.Name(candidate.finish_reason)
            yield f"ended by {name.removeprefix('FINISH_REASON_').lower()}"
