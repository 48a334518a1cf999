"""`trunkline batches`: many jobs under one name."""

from __future__ import annotations

from typing import Final, TextIO

import click

from trunkline.v1 import batches_pb2, batches_pb2_grpc, jobs_pb2
from trunkline_server.cli.bar import Bar
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.orders import by_line
from trunkline_server.cli.rows import amount, as_json_option, listing, show, show_fields, show_json, when

WATCH_TIMEOUT_S: Final = 900.0
MODES: Final = ("gateway", "provider")


@click.group("batches")
def command() -> None:
    """Make batches, list them, look at them and their items, watch and cancel them."""


@command.command("create")
@click.argument("items", type=click.File(encoding="utf-8"))
@click.option("--mode", type=click.Choice(MODES), default="gateway", show_default=True, help="Who runs the items.")
@click.option("--name", default="", help="A name for people.")
@click.option("--queue", default="", help="Its queue.  [default: default]")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=None, help="Items at once.")
@click.option("--stop-on-error", is_flag=True, help="After an item failed, do not begin those that wait.")
@click.option("--user", default="", help="The end user whom it is charged to.")
@click.option("--request-id", default="", help="Makes it safe to type this again.")
@to_gateway
def create(
    gateway: Gateway,
    /,
    *,
    items: TextIO,
    mode: str,
    name: str,
    queue: str,
    concurrency: int | None,
    stop_on_error: bool,
    user: str,
    request_id: str,
) -> None:
    """Make a batch of the file ITEMS, or of stdin where it is -, and print its id.

    Every line is a BatchItemSpec as JSON, such as {"customId": "one", "spec": {"chat": {...}}}.
    """
    method = batches_pb2_grpc.BatchServiceStub(gateway.channel).CreateBatch
    request = batches_pb2.CreateBatchRequest(
        items=by_line(items, batches_pb2.BatchItemSpec),
        mode=batches_pb2.BatchMode.Value(f"BATCH_MODE_{mode.upper()}"),
        name=name,
        queue=queue,
        concurrency_max=concurrency or 0,
        stop_on_error=stop_on_error,
        request_id=request_id,
    )
    click.echo(gateway.call(method, request, user).batch.batch_id)


@command.command("list")
@listing(50)
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the tenant's batches, newest first."""
    method = batches_pb2_grpc.BatchServiceStub(gateway.channel).ListBatches
    pages = gateway.pages(method, batches_pb2.ListBatchesRequest(), limit)
    show([batch for page in pages for batch in page.batches], _COLUMNS, as_json=as_json)


@command.command("show")
@click.argument("batch_id")
@as_json_option
@to_gateway
def show_(gateway: Gateway, /, *, batch_id: str, as_json: bool) -> None:
    """Show how far a batch is."""
    method = batches_pb2_grpc.BatchServiceStub(gateway.channel).GetBatch
    batch = gateway.call(method, batches_pb2.GetBatchRequest(batch_id=batch_id)).batch
    show_fields(batch, _FIELDS, as_json=as_json)


@command.command("items")
@click.argument("batch_id")
@listing()
@to_gateway
def items(gateway: Gateway, /, *, batch_id: str, limit: int | None, as_json: bool) -> None:
    """List the items of a batch in their order; with --json what came of each."""
    method = batches_pb2_grpc.BatchServiceStub(gateway.channel).ListBatchItems
    pages = gateway.pages(method, batches_pb2.ListBatchItemsRequest(batch_id=batch_id), limit)
    show((item for page in pages for item in page.items), _ITEMS, as_json=as_json)


@command.command("watch")
@click.argument("batch_id")
@as_json_option
@to_gateway
@click.pass_context
def watch(ctx: click.Context, gateway: Gateway, /, *, batch_id: str, as_json: bool) -> None:
    """Follow a batch to its end; the exit code is 1 where not every item succeeds."""
    method = batches_pb2_grpc.BatchServiceStub(gateway.channel).WatchBatch
    batch = batches_pb2.Batch()
    request = batches_pb2.WatchBatchRequest(batch_id=batch_id)
    with Bar(hidden=as_json) as bar:
        for told in method(request, metadata=gateway.metadata(), timeout=WATCH_TIMEOUT_S):
            batch = told.batch
            bar.show(batch.percentage / 100, f"{batch.progress.failed_count} failed")
            if as_json:
                show_json(batch)
    if not as_json:
        show_fields(batch, _FIELDS, as_json=False)
    ctx.exit(0 if batch.progress.succeeded_count == batch.progress.total_count else 1)


@command.command("cancel")
@click.argument("batch_id")
@to_gateway
def cancel(gateway: Gateway, /, *, batch_id: str) -> None:
    """Stop a batch; what runs ends a little later."""
    method = batches_pb2_grpc.BatchServiceStub(gateway.channel).CancelBatch
    batch = gateway.call(method, batches_pb2.CancelBatchRequest(batch_id=batch_id)).batch
    click.echo(f"{batch.batch_id} is being cancelled")


def _state(batch: batches_pb2.Batch) -> str:
    return batches_pb2.BatchState.Name(batch.state).removeprefix("BATCH_STATE_").lower()


_COLUMNS = {
    "BATCH": lambda batch: batch.batch_id,
    "NAME": lambda batch: batch.name,
    "STATE": _state,
    "DONE": lambda batch: f"{batch.percentage:.0f}%",
    "ITEMS": lambda batch: str(batch.progress.total_count),
    "FAILED": lambda batch: str(batch.progress.failed_count),
    "MADE": lambda batch: when(batch.create_time),
    "CREDITS": lambda batch: amount(batch.charge),
}
_FIELDS = {
    "batch": lambda batch: batch.batch_id,
    "name": lambda batch: batch.name,
    "state": _state,
    "done": lambda batch: f"{batch.percentage:.1f}%",
    "items": lambda batch: str(batch.progress.total_count),
    "runnable": lambda batch: str(batch.progress.runnable_count),
    "delayed": lambda batch: str(batch.progress.delayed_count),
    "running": lambda batch: str(batch.progress.running_count),
    "succeeded": lambda batch: str(batch.progress.succeeded_count),
    "failed": lambda batch: str(batch.progress.failed_count),
    "cancelled": lambda batch: str(batch.progress.cancelled_count),
    "made": lambda batch: when(batch.create_time),
    "ended": lambda batch: when(batch.end_time),
    "credits": lambda batch: amount(batch.charge),
}
_ITEMS = {
    "JOB": lambda item: item.job_id,
    "PLACE": lambda item: str(item.index),
    "NAME": lambda item: item.custom_id,
    "STATE": lambda item: jobs_pb2.JobState.Name(item.state).removeprefix("JOB_STATE_").lower(),
    "CREDITS": lambda item: amount(item.charge),
    "ERROR": lambda item: item.error.message,
}
