"""`trunkline models`: what can be called, and what it costs; what providers offer; aliases."""

from __future__ import annotations

import click

from trunkline.v1 import models_pb2, models_pb2_grpc
from trunkline_server.cli.failure import Misuse
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import amount, as_json_option, listing, show, told_price


class ListGroup(click.Group):
    """A group that lists where no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = args and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


@click.group("models", cls=ListGroup)
def command() -> None:
    """List the models that can be called, sync them with providers, and name them. Alone it lists."""


@command.command("list")
@click.option("--provider", default="", help="Only this provider's.")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, provider: str, limit: int | None, as_json: bool) -> None:
    """List the models that can be called. Prices are US dollars for a million tokens."""
    pages = gateway.pages(_models(gateway).ListModels, models_pb2.ListModelsRequest(provider=provider), limit)
    show((model for page in pages for model in page.models), _COLUMNS, as_json=as_json)


@command.command("sync")
@click.argument("provider", default="")
@as_json_option
@to_gateway
def sync(gateway: Gateway, /, *, provider: str, as_json: bool) -> None:
    """Ask providers which models they offer, and what they ask for them: all that are on, or the one named.

    Exits with 1 when one of them does not answer.
    """
    answer = gateway.call(_models(gateway).SyncModels, models_pb2.SyncModelsRequest(provider=provider))
    show(answer.providers, _SYNC_COLUMNS, as_json=as_json)
    raise click.exceptions.Exit(1 if any(each.failure_kind for each in answer.providers) else 0)


@command.command("alias")
@click.argument("alias")
@click.argument("models", nargs=-1)
@click.option("--delete", is_flag=True, help="Take the alias away.")
@to_gateway
def alias_(gateway: Gateway, /, *, alias: str, models: tuple[str, ...], delete: bool) -> None:
    """Let ALIAS mean MODELS: the first of them that can be called."""
    if delete == bool(models):
        raise Misuse("name the models that the alias means, or give --delete")
    if delete:
        gateway.call(_models(gateway).DeleteModelAlias, models_pb2.DeleteModelAliasRequest(alias=alias))
        click.echo(f"{alias} is gone")
    else:
        gateway.call(_models(gateway).SetModelAlias, models_pb2.SetModelAliasRequest(alias=alias, models=models))
        click.echo(f"{alias} means {' or '.join(models)}")


@command.command("aliases")
@listing()
@to_gateway
def aliases(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the aliases."""
    pages = gateway.pages(_models(gateway).ListModelAliases, models_pb2.ListModelAliasesRequest(), limit)
    show((alias for page in pages for alias in page.aliases), _ALIAS_COLUMNS, as_json=as_json)


def _models(gateway: Gateway) -> models_pb2_grpc.ModelServiceStub:
    return models_pb2_grpc.ModelServiceStub(gateway.channel)


def _price(model: models_pb2.Model, unit: str) -> str:
    """The price of the first tier."""
    prices = (each.per_million for each in model.price.units if each.unit == unit and not each.from_input_tokens)
    return next(map(amount, prices), "")


def _able(model: models_pb2.Model) -> str:
    names = map(models_pb2.Capability.Name, model.capabilities)
    return " ".join(name.removeprefix("CAPABILITY_").lower() for name in names)


def _outcome(synced: models_pb2.SyncedProvider) -> str:
    if not synced.failure_kind:
        return "ok"
    return f"{synced.failure_kind}{f' (HTTP {synced.http_status})' if synced.http_status else ''}"


_COLUMNS = {
    "MODEL": lambda model: model.name,
    "CONTEXT": lambda model: str(model.context_window or ""),
    "OUTPUT MAX": lambda model: str(model.max_output_tokens or ""),
    "INPUT USD": lambda model: _price(model, "input"),
    "OUTPUT USD": lambda model: _price(model, "output"),
    "CAPABILITIES": _able,
}
_SYNC_COLUMNS = {
    "PROVIDER": lambda synced: synced.provider,
    "RESULT": _outcome,
    "MODELS": lambda synced: str(synced.model_count),
    "ADDED": lambda synced: " ".join(synced.added),
    "CHANGED": lambda synced: " ".join(synced.changed),
    "GONE": lambda synced: " ".join(synced.gone),
    "PRICES": lambda synced: "; ".join(f"{price.model}: {told_price(price)}" for price in synced.prices),
}
_ALIAS_COLUMNS = {
    "ALIAS": lambda alias: alias.alias,
    "MODELS": lambda alias: " ".join(alias.models),
}
