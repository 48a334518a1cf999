"""`trunkline keys`: API keys. What goes to stdout is the secret alone, or the id of a key that signs, so that it can be
taken straight into a variable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from trunkline.v1 import admin_pb2, admin_pb2_grpc
from trunkline_server.cli.duration import Duration
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import listing, show, when
from trunkline_server.cli.signing import make_pair, public_key
from trunkline_server.core.priority import Priority


@click.group("keys")
def command() -> None:
    """Make, list, rotate and revoke API keys."""


_FILE = click.Path(path_type=Path, dir_okay=False)


@command.command("pair")
@click.argument("file", type=_FILE)
def pair(*, file: Path) -> None:
    """Make a key pair for signing: FILE gets the private key, stdout the public one, both in PEM."""
    click.echo(make_pair(file), nl=False)


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("chat:*", "models:read"),
    show_default=True,
    help="What the key may do, such as chat:write or credits:*; * is everything. Give it again for more.",
)
@click.option("--model", "models", multiple=True, help="A model it may call, provider/model or provider/*; none: all.")
@click.option(
    "--expires", type=Duration(), metavar="DURATION", help="How long it lives, such as 30d; default: for ever."
)
@click.option(
    "--priority",
    type=click.Choice([priority.name.lower() for priority in Priority]),
    help="How urgent its calls are at most; default: interactive.",
)
@click.option("--tenant", "tenant_id", default="", metavar="ID", help="The tenant it is for; default: the caller's.")
@click.option(
    "--public-key", "file", type=_FILE, metavar="FILE", help="Its calls are signed, it gets no secret: Ed25519, in PEM."
)
@to_gateway
def create(
    gateway: Gateway,
    /,
    *,
    name: str,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    expires: timedelta | None,
    priority: str | None,
    tenant_id: str,
    file: Path | None,
) -> None:
    """Make an API key and print its secret, which is shown only now; of one with a public key, its id."""
    request = admin_pb2.CreateApiKeyRequest(name=name, scopes=scopes, allowed_models=models, tenant_id=tenant_id)
    if priority is not None:
        request.priority = admin_pb2.Priority.Value(f"PRIORITY_{priority.upper()}")
    if expires is not None:
        request.expire_time.FromDatetime(datetime.now(UTC) + expires)
    if file is not None:
        request.public_key = public_key(file)
    answer = gateway.call(_admin(gateway).CreateApiKey, request)
    _hand_over(answer.api_key, answer.secret)


@command.command("list")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the tenant's keys, without their secrets."""
    pages = gateway.pages(_admin(gateway).ListApiKeys, admin_pb2.ListApiKeysRequest(), limit)
    show((key for page in pages for key in page.api_keys), _COLUMNS, as_json=as_json)


@command.command("revoke")
@click.argument("key_id")
@to_gateway
def revoke(gateway: Gateway, /, *, key_id: str) -> None:
    """End a key now."""
    answer = gateway.call(_admin(gateway).RevokeApiKey, admin_pb2.RevokeApiKeyRequest(key_id=key_id))
    click.echo(f"{answer.api_key.key_id} is revoked")


@command.command("rotate")
@click.argument("key_id")
@click.option("--overlap", type=Duration(), metavar="DURATION", help="How long the old one lives on; default: 24h.")
@click.option("--public-key", "file", type=_FILE, metavar="FILE", help="The next public key of a key that signs.")
@to_gateway
def rotate(gateway: Gateway, /, *, key_id: str, overlap: timedelta | None, file: Path | None) -> None:
    """Give a key a new secret and print it, which is shown only now; or another public key."""
    request = admin_pb2.RotateApiKeyRequest(key_id=key_id)
    if file is not None:
        request.public_key = public_key(file)
    if overlap is not None:
        request.overlap.FromTimedelta(overlap)
    answer = gateway.call(_admin(gateway).RotateApiKey, request)
    _hand_over(answer.api_key, answer.secret)


def _admin(gateway: Gateway) -> admin_pb2_grpc.AdminServiceStub:
    return admin_pb2_grpc.AdminServiceStub(gateway.channel)


def _hand_over(key: admin_pb2.ApiKey, secret: str) -> None:
    told = "the secret is shown only now" if secret else "its calls are signed"
    click.secho(f"{key.key_id} ({key.name}): {' '.join(key.scopes)}; {told}", dim=True, err=True)
    click.echo(secret or key.key_id)


def _state(key: admin_pb2.ApiKey) -> str:
    if key.HasField("revoke_time"):
        return f"revoked {when(key.revoke_time)}"
    return f"expires {when(key.expire_time)}" if key.HasField("expire_time") else "valid"


_COLUMNS = {
    "KEY": lambda key: key.key_id,
    "NAME": lambda key: key.name,
    "SCOPES": lambda key: " ".join(key.scopes),
    "MODELS": lambda key: " ".join(key.allowed_models) or "all",
    "PROVED BY": lambda key: "signatures" if key.public_key else "a secret",
    "MADE": lambda key: when(key.create_time),
    "LAST USED": lambda key: when(key.last_use_time),
    "STATE": _state,
}
