"""`trunkline tenants`: the walls between customers."""

from __future__ import annotations

import click

from trunkline.v1 import admin_pb2, admin_pb2_grpc
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.rows import as_json_option, listing, show, show_json, when


@click.group("tenants")
def command() -> None:
    """Make and list tenants."""


@command.command("create")
@click.argument("name")
@as_json_option
@to_gateway
def create(gateway: Gateway, /, *, name: str, as_json: bool) -> None:
    """Make a tenant and print its id; `trunkline keys create --tenant` makes its first key."""
    method = admin_pb2_grpc.AdminServiceStub(gateway.channel).CreateTenant
    tenant = gateway.call(method, admin_pb2.CreateTenantRequest(name=name)).tenant
    if as_json:
        show_json(tenant)
    else:
        click.echo(tenant.tenant_id)


@command.command("list")
@listing()
@to_gateway
def list_(gateway: Gateway, /, *, limit: int | None, as_json: bool) -> None:
    """List the tenants, oldest first."""
    method = admin_pb2_grpc.AdminServiceStub(gateway.channel).ListTenants
    pages = gateway.pages(method, admin_pb2.ListTenantsRequest(), limit)
    show((tenant for page in pages for tenant in page.tenants), _COLUMNS, as_json=as_json)


_COLUMNS = {
    "TENANT": lambda tenant: tenant.tenant_id,
    "NAME": lambda tenant: tenant.name,
    "STATE": lambda tenant: "suspended" if tenant.suspended else "open",
    "MADE": lambda tenant: when(tenant.create_time),
}
