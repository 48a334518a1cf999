"""What happens at a start and never again: why there is none, and the first key."""

from __future__ import annotations

import os
from pathlib import Path

from trunkline_server.core import api_key
from trunkline_server.store.keys import Keys, NewKey
from trunkline_server.store.page import Page
from trunkline_server.store.tenants import Tenants


class StartError(Exception):
    """The gateway cannot start; the message is one line that says why."""


async def first_key(data_path: Path, keys: Keys, tenants: Tenants) -> str:
    """Tenant `default` and its first key, made by whoever starts first on an empty database; else empty."""
    tenant = await tenants.ensure("default")
    async with keys.one_at_a_time():
        if await keys.list(tenant.tenant_id, Page(size=1)):
            return ""
        key = api_key.make("live")
        _write_private(data_path / "admin.key", key.text)  # first: a key that nobody has been told is lost for good
        await keys.create(NewKey(tenant.tenant_id, "admin", ["*"], created_by="first start"), key)
        return key.text


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
