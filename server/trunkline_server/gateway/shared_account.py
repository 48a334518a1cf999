"""Tenants without an account of their own at a provider share the operator's, and so what is kept there."""

from __future__ import annotations

from trunkline_server.core.errand import Input
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.provider_ids import provider_id
from trunkline_server.gateway.routes import Route


def require_own(input: Input, route: Route) -> None:
    """Raises CAPABILITY_UNSUPPORTED where work names what could be another tenant's."""
    if not route.own_key and (path := provider_id(input, route.provider)):
        message = f"names what {route.provider} keeps by its own id, which needs an account of your own there"
        raise invalid(path, message, Reason.CAPABILITY_UNSUPPORTED)
