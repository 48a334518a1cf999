"""`trunkline fine-tunes`: datasets looked through, models trained and named."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import click

from trunkline.v1 import files_pb2, files_pb2_grpc, fine_tuning_pb2, fine_tuning_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import amount, as_json_option, listing, show, show_fields, when

SEND_TIMEOUT_S: Final = 900.0
CHUNK_BYTES: Final = 1024 * 1024
_FILE: Final = click.argument("file", type=click.File("rb"))


@click.group("fine-tunes")
def command() -> None:
    """Look datasets through, train models, give them names."""


@command.command("check")
@click.argument("model")
@_FILE
@click.option("--epochs", type=click.IntRange(0, 50), default=0, help="How often it is gone through.")
@as_json_option
@to_gateway
@click.pass_context
def check(ctx: click.Context, gateway: Gateway, /, *, model: str, file: BinaryIO, epochs: int, as_json: bool) -> None:
    """Say what is wrong with FILE, and what training MODEL on it would cost; the exit code is 1 where it has faults."""
    file_id = _sent(gateway, file)
    request = fine_tuning_pb2.ValidateDatasetRequest(file_id=file_id, model=model, epoch_count=epochs)
    method = _stub(gateway).ValidateDataset
    report = method(request, metadata=gateway.metadata(), timeout=SEND_TIMEOUT_S).report
    show_fields(report, _REPORT, as_json=as_json)
    if not as_json:
        show(report.faults, _FAULTS, as_json=False)
    ctx.exit(0 if report.valid else 1)


@command.command("create")
@click.argument("model")
@_FILE
@click.option("--epochs", type=click.IntRange(0, 50), default=0, help="How often it is gone through.")
@click.option("--suffix", default="", help="A part of what the provider will call it.")
@click.option("--user", default="", help="The end user whom it is charged to.")
@click.option("--request-id", default="", help="Makes it safe to type this again.")
@to_gateway
def create(
    gateway: Gateway, /, *, model: str, file: BinaryIO, epochs: int, suffix: str, user: str, request_id: str
) -> None:
    """Train MODEL on the examples in FILE, and print the id."""
    request = fine_tuning_pb2.CreateFineTuneRequest(
        model=model,
        training_file_id=_sent(gateway, file, request_id),
        suffix=suffix,
        hyperparameters=fine_tuning_pb2.Hyperparameters(epoch_count=epochs),
        request_id=request_id or uuid.uuid4().hex,
    )
    made = _stub(gateway).CreateFineTune(request, metadata=gateway.metadata(user), timeout=SEND_TIMEOUT_S)
    click.echo(made.fine_tune.fine_tune_id)


@command.command("list")
@listing(50)
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the tenant's fine-tunes, newest first."""
    pages = gateway.pages(_stub(gateway).ListFineTunes, fine_tuning_pb2.ListFineTunesRequest(), limit)
    show([each for page in pages for each in page.fine_tunes], _COLUMNS, as_json=as_json)


@command.command("show")
@click.argument("fine_tune_id")
@as_json_option
@to_gateway
def show_(gateway: Gateway, /, *, fine_tune_id: str, as_json: bool) -> None:
    """Show a fine-tune and what has come of it."""
    request = fine_tuning_pb2.GetFineTuneRequest(fine_tune_id=fine_tune_id)
    show_fields(gateway.call(_stub(gateway).GetFineTune, request).fine_tune, _FIELDS, as_json=as_json)


@command.command("events")
@click.argument("fine_tune_id")
@listing()
@to_gateway
def events(gateway: Gateway, /, *, fine_tune_id: str, limit: int | None, as_json: bool) -> None:
    """List what has happened to a fine-tune, oldest first."""
    request = fine_tuning_pb2.ListFineTuneEventsRequest(fine_tune_id=fine_tune_id)
    pages = gateway.pages(_stub(gateway).ListFineTuneEvents, request, limit)
    show([each for page in pages for each in page.events], _EVENTS, as_json=as_json)


@command.command("cancel")
@click.argument("fine_tune_id")
@to_gateway
def cancel(gateway: Gateway, /, *, fine_tune_id: str) -> None:
    """Stop a fine-tune; it ends a little later."""
    request = fine_tuning_pb2.CancelFineTuneRequest(fine_tune_id=fine_tune_id)
    told = gateway.call(_stub(gateway).CancelFineTune, request).fine_tune
    click.echo(f"{told.fine_tune_id} is being cancelled")


@command.command("deploy")
@click.argument("fine_tune_id")
@click.argument("name")
@click.option(
    "--step", type=click.IntRange(min=0), default=0, help="One of its checkpoints.  [default: the last model]"
)
@to_gateway
def deploy(gateway: Gateway, /, *, fine_tune_id: str, name: str, step: int) -> None:
    """Let NAME mean the model of a fine-tune."""
    request = fine_tuning_pb2.DeployModelRequest(fine_tune_id=fine_tune_id, name=name, checkpoint_step=step)
    model = gateway.call(_stub(gateway).DeployModel, request).model
    click.echo(f"{model.name} is {model.provider}/{model.provider_model}")


@command.command("names")
@listing()
@to_gateway
def names(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the names that trained models have."""
    pages = gateway.pages(_stub(gateway).ListDeployedModels, fine_tuning_pb2.ListDeployedModelsRequest(), limit)
    show([each for page in pages for each in page.models], _NAMES, as_json=as_json)


@command.command("undeploy")
@click.argument("name")
@to_gateway
def undeploy(gateway: Gateway, /, *, name: str) -> None:
    """Take a name away; the model stays at its provider."""
    gateway.call(_stub(gateway).UndeployModel, fine_tuning_pb2.UndeployModelRequest(name=name))


def _stub(gateway: Gateway) -> fine_tuning_pb2_grpc.FineTuningServiceStub:
    return fine_tuning_pb2_grpc.FineTuningServiceStub(gateway.channel)


def _sent(gateway: Gateway, file: BinaryIO, request_id: str = "") -> str:
    """The file's id, once it is there."""
    method = files_pb2_grpc.FileServiceStub(gateway.channel).UploadFile
    answer = method(_parts(file, request_id), metadata=gateway.metadata(), timeout=SEND_TIMEOUT_S)
    return answer.file.file_id


def _parts(file: BinaryIO, request_id: str) -> Iterator[files_pb2.UploadFileRequest]:
    name = Path(getattr(file, "name", "")).name or "examples.jsonl"
    spec = files_pb2.FileSpec(filename=name.strip("<>"), media_type="application/jsonl")
    yield files_pb2.UploadFileRequest(file=spec, request_id=request_id)
    while data := file.read(CHUNK_BYTES):
        yield files_pb2.UploadFileRequest(data=data)


def _state(tune: fine_tuning_pb2.FineTune) -> str:
    return fine_tuning_pb2.FineTuneState.Name(tune.state).removeprefix("FINE_TUNE_STATE_").lower()


_COLUMNS = {
    "FINE-TUNE": lambda tune: tune.fine_tune_id,
    "STATE": _state,
    "MODEL": lambda tune: f"{tune.provider}/{tune.base_model}",
    "MADE": lambda tune: when(tune.create_time),
    "CREDITS": lambda tune: amount(tune.charge),
}
_FIELDS = {
    "fine-tune": lambda tune: tune.fine_tune_id,
    "state": _state,
    "model": lambda tune: f"{tune.provider}/{tune.base_model}",
    "trained": lambda tune: tune.provider_model,
    "epochs": lambda tune: str(tune.hyperparameters.epoch_count),
    "tokens": lambda tune: str(tune.trained_token_count or ""),
    "checkpoints": lambda tune: ", ".join(str(each.step) for each in tune.checkpoints),
    "error": lambda tune: tune.error_code or tune.error.message,
    "made": lambda tune: when(tune.create_time),
    "ended": lambda tune: when(tune.end_time),
    "held": lambda tune: amount(tune.held),
    "credits": lambda tune: amount(tune.charge) if tune.HasField("charge") else "",
}
_REPORT = {
    "examples": lambda report: str(report.example_count),
    "tokens": lambda report: str(report.token_count),
    "epochs": lambda report: str(report.epoch_count),
    "trained tokens": lambda report: str(report.trained_token_count),
    "credits": lambda report: amount(report.charge),
    "faults": lambda report: str(report.fault_count),
}
_FAULTS = {
    "LINE": lambda fault: str(fault.line),
    "FIELD": lambda fault: fault.field,
    "WHAT": lambda fault: fault.description,
}
_EVENTS = {
    "TIME": lambda event: when(event.event_time),
    "WHAT": lambda event: event.message,
}
_NAMES = {
    "NAME": lambda model: model.name,
    "MODEL": lambda model: f"{model.provider}/{model.provider_model}",
    "FINE-TUNE": lambda model: model.fine_tune_id,
}
