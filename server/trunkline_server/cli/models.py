"""`trunkline models`: what can be called, and what it costs."""

from __future__ import annotations

import click

from trunkline.v1 import models_pb2, models_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import amount, listing, show


@click.command("models")
@click.option("--provider", default="", help="Only this provider's.")
@listing()
@to_gateway
def command(gateway: Gateway, /, *, provider: str, limit: int | None, as_json: bool) -> None:
    """List the models that can be called. Prices are US dollars for a million tokens."""
    method = models_pb2_grpc.ModelServiceStub(gateway.channel).ListModels
    pages = gateway.pages(method, models_pb2.ListModelsRequest(provider=provider), limit)
    show((model for page in pages for model in page.models), _COLUMNS, as_json=as_json)


def _price(model: models_pb2.Model, unit: str) -> str:
    """The price of the first tier."""
    prices = (each.per_million for each in model.price.units if each.unit == unit and not each.from_input_tokens)
    return next(map(amount, prices), "")


def _able(model: models_pb2.Model) -> str:
    names = map(models_pb2.Capability.Name, model.capabilities)
    return " ".join(name.removeprefix("CAPABILITY_").lower() for name in names)


_COLUMNS = {
    "MODEL": lambda model: model.name,
    "CONTEXT": lambda model: str(model.context_window or ""),
    "OUTPUT MAX": lambda model: str(model.max_output_tokens or ""),
    "INPUT USD": lambda model: _price(model, "input"),
    "OUTPUT USD": lambda model: _price(model, "output"),
    "CAPABILITIES": _able,
}
