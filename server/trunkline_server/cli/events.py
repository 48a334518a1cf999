"""`trunkline events`: what happens, as it happens."""

from __future__ import annotations

from itertools import islice
from typing import Final

import click
from google.protobuf.json_format import MessageToJson

from trunkline.v1 import events_pb2, events_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.plain import one_line
from trunkline_server.cli.rows import as_json_option, show_json, when

TAIL_TIMEOUT_S: Final = 900.0


@click.group("events")
def command() -> None:
    """Follow what happens."""


@command.command("types")
@to_gateway
def types(gateway: Gateway, /) -> None:
    """List the types of events."""
    method = events_pb2_grpc.EventServiceStub(gateway.channel).ListEventTypes
    for each in gateway.call(method, events_pb2.ListEventTypesRequest()).types:
        click.echo(each.name)


@command.command("tail")
@click.option("--type", "types_", multiple=True, help="Only events of this type; may be given again.")
@click.option("--cursor", default="", help="Begin behind this event.")
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest one that is kept.")
@click.option("--limit", type=click.IntRange(min=1), help="End after so many.")
@as_json_option
@to_gateway
def tail(
    gateway: Gateway,
    /,
    *,
    types_: tuple[str, ...],
    cursor: str,
    from_beginning: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print events as they happen, until Ctrl-C."""
    method = events_pb2_grpc.EventServiceStub(gateway.channel).Subscribe
    request = events_pb2.SubscribeRequest(cursor=cursor, from_beginning=from_beginning, types=types_)
    stream = method(request, metadata=gateway.metadata(), timeout=TAIL_TIMEOUT_S)
    events = (told.event for told in stream if told.HasField("event"))
    for event in islice(events, limit):
        if as_json:
            show_json(event)
        else:
            click.echo(f"{when(event.create_time)}  {event.cursor:>8}  {event.type}  {one_line(_told(event))}")
    stream.cancel()


def _told(event: events_pb2.Event) -> str:
    field = event.WhichOneof("payload")
    return MessageToJson(getattr(event, field), indent=None, ensure_ascii=False) if field else ""
