"""`trunkline webhooks`: where events are sent, and what became of them."""

from __future__ import annotations

from typing import Final

import click

from trunkline.v1 import webhooks_pb2, webhooks_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.plain import plain
from trunkline_server.cli.rows import listing, show, when

STATES: Final = ("waiting", "delivered", "failed")


@click.group("webhooks")
def command() -> None:
    """Set up endpoints, test them, and see what was sent to them."""


@command.command("list")
@listing(50)
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the tenant's endpoints, oldest first."""
    pages = gateway.pages(_stub(gateway).ListEndpoints, webhooks_pb2.ListEndpointsRequest(), limit)
    show((endpoint for page in pages for endpoint in page.endpoints), _ENDPOINTS, as_json=as_json)


@command.command("create")
@click.argument("uri", default="")
@click.option("--type", "types", multiple=True, help="Only events of this type; may be given again.")
@click.option("--description", default="", help="For people.")
@click.option("--for-callbacks", is_flag=True, help="It signs what goes to the callback addresses of jobs; no URI.")
@click.option("--key-pair", "with_key_pair", is_flag=True, help="Sign with a private key; show the public one.")
@to_gateway
def create(gateway: Gateway, /, *, uri: str, types: tuple[str, ...], **said: str | bool) -> None:
    """Send events to URI. Its secret is shown once."""
    request = webhooks_pb2.CreateEndpointRequest(uri=uri, types=types, **said)  # type: ignore[arg-type]
    answer = gateway.call(_stub(gateway).CreateEndpoint, request)
    _show_secret(answer.endpoint, answer.secret)


@command.command("enable")
@click.argument("endpoint_id")
@to_gateway
def enable(gateway: Gateway, /, *, endpoint_id: str) -> None:
    """Send to an endpoint again, from now on."""
    request = webhooks_pb2.UpdateEndpointRequest(endpoint_id=endpoint_id, enabled=True)
    gateway.call(_stub(gateway).UpdateEndpoint, request)
    click.echo(f"{endpoint_id} gets what happens from now on")


@command.command("disable")
@click.argument("endpoint_id")
@to_gateway
def disable(gateway: Gateway, /, *, endpoint_id: str) -> None:
    """Send nothing more to an endpoint; what waits is given up."""
    request = webhooks_pb2.UpdateEndpointRequest(endpoint_id=endpoint_id, enabled=False)
    gateway.call(_stub(gateway).UpdateEndpoint, request)
    click.echo(f"{endpoint_id} gets nothing more")


@command.command("delete")
@click.argument("endpoint_id")
@to_gateway
def delete(gateway: Gateway, /, *, endpoint_id: str) -> None:
    """Forget an endpoint, its secret and its deliveries."""
    gateway.call(_stub(gateway).DeleteEndpoint, webhooks_pb2.DeleteEndpointRequest(endpoint_id=endpoint_id))
    click.echo(f"{endpoint_id} is gone")


@command.command("rotate")
@click.argument("endpoint_id")
@to_gateway
def rotate(gateway: Gateway, /, *, endpoint_id: str) -> None:
    """Give an endpoint a new secret, shown once; the old one signs too for a day."""
    answer = gateway.call(_stub(gateway).RotateSecret, webhooks_pb2.RotateSecretRequest(endpoint_id=endpoint_id))
    _show_secret(answer.endpoint, answer.secret)


@command.command("test")
@click.argument("endpoint_id")
@to_gateway
def test(gateway: Gateway, /, *, endpoint_id: str) -> None:
    """Send an event that means nothing."""
    request = webhooks_pb2.SendTestEventRequest(endpoint_id=endpoint_id)
    delivery = gateway.call(_stub(gateway).SendTestEvent, request).delivery
    click.echo(f"{delivery.delivery_id} is on its way: see `trunkline webhooks deliveries`")


@command.command("deliveries")
@click.option("--endpoint", default="", help="Only to this endpoint.")
@click.option("--state", type=click.Choice(STATES), help="Only in this state.")
@listing(50)
@to_gateway
def deliveries(gateway: Gateway, /, *, endpoint: str, state: str | None, limit: int | None, as_json: bool) -> None:
    """List what was sent, newest first."""
    asked = webhooks_pb2.WebhookDeliveryState.Value(f"WEBHOOK_DELIVERY_STATE_{(state or 'unspecified').upper()}")
    request = webhooks_pb2.ListDeliveriesRequest(endpoint_id=endpoint, state=asked)
    pages = gateway.pages(_stub(gateway).ListDeliveries, request, limit)
    show((delivery for page in pages for delivery in page.deliveries), _DELIVERIES, as_json=as_json)


@command.command("redeliver")
@click.argument("what")
@to_gateway
def redeliver(gateway: Gateway, /, *, what: str) -> None:
    """Send again: one delivery, or all that an endpoint did not get."""
    request = webhooks_pb2.RedeliverRequest(delivery_id=what)
    if what.startswith("whep_"):
        request = webhooks_pb2.RedeliverRequest(failed=webhooks_pb2.RedeliverFailed(endpoint_id=what))
    click.echo(f"{gateway.call(_stub(gateway).Redeliver, request).delivery_count} sent again")


def _stub(gateway: Gateway) -> webhooks_pb2_grpc.WebhookServiceStub:
    return webhooks_pb2_grpc.WebhookServiceStub(gateway.channel)


def _show_secret(endpoint: webhooks_pb2.WebhookEndpoint, secret: str) -> None:
    if endpoint.public_key:
        click.echo(f"endpoint    {endpoint.endpoint_id}\npublic key  {endpoint.public_key}")
    else:
        click.echo(f"endpoint  {endpoint.endpoint_id}\nsecret    {secret}\n\nThe secret is not shown again.")


def _standing(endpoint: webhooks_pb2.WebhookEndpoint) -> str:
    if endpoint.enabled:
        return "failing" if endpoint.HasField("failing_since_time") else "enabled"
    return f"disabled {endpoint.disabled_reason.lower()}".rstrip()


def _state(delivery: webhooks_pb2.WebhookDelivery) -> str:
    name = webhooks_pb2.WebhookDeliveryState.Name(delivery.state)
    return name.removeprefix("WEBHOOK_DELIVERY_STATE_").lower()


_ENDPOINTS: Final = {
    "ENDPOINT": lambda endpoint: endpoint.endpoint_id,
    "STATE": _standing,
    "URI": lambda endpoint: "callbacks of jobs" if endpoint.for_callbacks else plain(endpoint.uri),
    "TYPES": lambda endpoint: " ".join(endpoint.types) or "all",
    "CREATED": lambda endpoint: when(endpoint.create_time),
}
_DELIVERIES: Final = {
    "DELIVERY": lambda delivery: delivery.delivery_id,
    "STATE": _state,
    "TYPE": lambda delivery: delivery.type,
    "ATTEMPTS": lambda delivery: str(delivery.attempt_count),
    "ANSWER": lambda delivery: str(delivery.http_status or "") or delivery.error,
    "NEXT": lambda delivery: when(delivery.next_attempt_time),
    "CREATED": lambda delivery: when(delivery.create_time),
}
