"""From the settings to who may come in: certificates of the doors, names in those of callers, issuers of tokens."""

from __future__ import annotations

import asyncio
from typing import Final

from trunkline_server.config import Settings
from trunkline_server.core.priority import Priority
from trunkline_server.door.caller import Strangers
from trunkline_server.door.identities import Identities, Identity
from trunkline_server.door.issuers import Issuer, Issuers
from trunkline_server.door.tls import Tls, TlsSettings
from trunkline_server.house.ground import Ground
from trunkline_server.house.start import StartError
from trunkline_server.providers.egress import Egress
from trunkline_server.worker.chores import Chore

JWKS_BYTES_MAX: Final = 256 * 1024
GRPC: Final = ("h2",)
HTTP: Final = ("http/1.1",)


def open_tls(settings: Settings) -> tuple[Tls, Tls] | None:
    """For gRPC and for HTTP; None where both are served in the clear. Raises StartError, OSError for bad files."""
    given = settings.tls
    if bool(given.certificate_file) != bool(given.key_file):
        raise StartError("tls: needs both certificate_file and key_file, or none")
    if given.client_auth != "none" and not (given.certificate_file and given.client_ca_file):
        raise StartError("tls.client_auth: needs certificate_file, key_file and client_ca_file")
    if not given.certificate_file:
        return None
    chosen = TlsSettings(given.certificate_file, given.key_file, given.client_ca_file, given.client_auth)
    return Tls(chosen, GRPC), Tls(chosen, HTTP)


def tls_chores(settings: Settings, tls: tuple[Tls, Tls] | None) -> list[Chore]:
    return [Chore("reload_tls", settings.tls.reload_s, each.reload) for each in tls or ()]


def strangers_of(ground: Ground) -> Strangers:
    """Callers without a key of ours."""
    auth, egress = ground.settings.auth, Egress(ground.policy)
    ground.stack.push_async_callback(egress.close)

    async def fetch(uri: str) -> bytes:
        return (await egress.fetch(uri, bytes_max=JWKS_BYTES_MAX, field="auth.issuers")).data

    identities = [
        Identity(each.name, each.tenant, frozenset(each.scopes), each.models, Priority[each.priority.upper()])
        for each in auth.identities
    ]
    issuers = [
        Issuer(
            issuer=each.issuer,
            audience=each.audience,
            jwks_uri=each.jwks_uri,
            algorithms=each.algorithms,
            tenant=each.tenant,
            scopes=frozenset(each.scopes),
            scope_claim=each.scope_claim,
            user_claim=each.user_claim,
        )
        for each in auth.issuers
    ]
    return Strangers(Identities(identities), Issuers(issuers, fetch, asyncio.get_running_loop().time))
