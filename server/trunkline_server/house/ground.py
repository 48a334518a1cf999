"""What all else stands on: the settings, the database, what replicas share, the secrets, where the house may dial."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from trunkline_server.config import Settings
from trunkline_server.core import ids
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.sealing import KeyRing
from trunkline_server.house.start import StartError
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.installation import installation_secret
from trunkline_server.store.migrate import migrate
from trunkline_server.store.redis import RedisSettings, SharedMemory
from trunkline_server.store.tenant_keys import TenantKeys


@dataclass(frozen=True)
class Ground:
    """`replica_id` names this process to the others; `secret` is the installation's. What is opened is closed with
    the stack.
    """

    settings: Settings
    stack: AsyncExitStack
    replica_id: str
    database: Database
    shared: SharedMemory | None
    secret: bytes
    tenant_keys: TenantKeys
    policy: EgressPolicy

    @classmethod
    async def lay(cls, settings: Settings, stack: AsyncExitStack) -> Self:
        """Raises StartError."""
        settings.data_path.mkdir(parents=True, exist_ok=True)
        database = await _open_database(settings, stack)
        secret = settings.auth.pepper.encode() + await installation_secret(database)
        egress = settings.egress
        return cls(
            settings=settings,
            stack=stack,
            replica_id=ids.new_uuid().hex,
            database=database,
            shared=_open_shared(settings, stack),
            secret=secret,
            tenant_keys=await _tenant_keys(settings, database, secret),
            policy=EgressPolicy(frozenset(egress.allow_http_hosts), frozenset(egress.allow_private_hosts)),
        )


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    url = settings.database_url
    if not url:
        embedded = await EmbeddedPostgres.start(settings.data_path / "postgres")
        stack.push_async_callback(embedded.stop)
        url = embedded.url
    await migrate(url)
    given = settings.database
    limits = DatabaseSettings(url, given.pool_max, given.command_timeout_s, acquire_timeout_s=given.acquire_timeout_s)
    database = await Database.open(limits)
    stack.push_async_callback(database.close)
    return database


async def _tenant_keys(settings: Settings, database: Database, secret: bytes) -> TenantKeys:
    """Refuses to start where what is sealed could not be opened: a key lost now is a key lost for good."""
    keys = TenantKeys(database, KeyRing.of(settings.secrets.keys, secret))
    if lacking := await keys.check():
        which = (
            "auth.pepper: was changed" if lacking == [0] else f"secrets.kek: version {max(lacking)} is missing or wrong"
        )
        raise StartError(f"{which}, and tenants' keys are sealed with it; put the old one back")
    return keys


def _open_shared(settings: Settings, stack: AsyncExitStack) -> SharedMemory | None:
    """It need not be there yet."""
    if not settings.redis_url:
        return None
    shared = SharedMemory(RedisSettings(settings.redis_url, settings.limits.redis_timeout_s))
    stack.push_async_callback(shared.close)
    return shared
