"""`trunkline audit`: what operators did in the key's tenant, and the proof that nothing of it was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import Parse, ParseError

from trunkline.v1 import audit_pb2, audit_pb2_grpc
from trunkline_server.cli.failure import Misuse
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import as_json_option, listing, show, show_json, when

ENTRIES_SHOWN = 50


@click.group("audit")
def command() -> None:
    """List what operators did, and prove that nothing of it was changed."""


@command.command("list")
@click.option("--principal", default="", metavar="ID", help="Only what was done by this key.")
@click.option("--action", default="", help="Only this, or what is under it: `api_key`, `api_key.create`.")
@click.option("--resource", default="", metavar="ID", help="Only what was done to this.")
@listing(ENTRIES_SHOWN)
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool, **fields: Any) -> None:
    """Who did what to which, newest first."""
    pages = gateway.pages(_stub(gateway).ListEntries, audit_pb2.ListEntriesRequest(**fields), limit)
    show((entry for page in pages for entry in page.entries), _ENTRY, as_json=as_json)


@command.command("verify")
@click.option(
    "--kept",
    type=click.Path(path_type=Path),
    help="What an earlier `verify --json` said; nothing before it may differ.",
)
@as_json_option
@to_gateway
@click.pass_context
def verify(ctx: click.Context, gateway: Gateway, /, *, kept: Path | None, as_json: bool) -> None:
    """Look at every entry; exit with 1 where the log is not what it was."""
    request = audit_pb2.VerifyLogRequest()
    if kept is not None:
        request.kept_head.CopyFrom(_head(kept))
    told = gateway.call(_stub(gateway).VerifyLog, request)
    if as_json:
        show_json(told)
    elif told.intact:
        click.echo(f"intact, {told.head.sequence} entries")
    else:
        click.echo(f"BROKEN at entry {told.broken_at}: {told.fault}")
    ctx.exit(0 if told.intact else 1)


def _head(kept: Path) -> audit_pb2.AuditHead:
    try:
        return Parse(kept.read_bytes(), audit_pb2.VerifyLogResponse()).head
    except (ParseError, UnicodeDecodeError):
        raise Misuse(f"--kept: {kept} is not what `trunkline audit verify --json` says") from None
    except OSError as error:
        raise Misuse(f"--kept: {kept} cannot be read: {error.strerror}") from None


def _stub(gateway: Gateway) -> audit_pb2_grpc.AuditServiceStub:
    return audit_pb2_grpc.AuditServiceStub(gateway.channel)


_ENTRY = {
    "PLACE": lambda entry: str(entry.sequence),
    "WHEN": lambda entry: when(entry.create_time),
    "WHO": lambda entry: entry.principal or "-",
    "DID": lambda entry: entry.action,
    "TO": lambda entry: entry.resource,
    "BY": lambda entry: entry.method,
    "REQUEST": lambda entry: entry.request_id,
}
