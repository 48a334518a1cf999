"""The audit as it stands: read in pages, proven from its first entry on, its heads signed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from trunkline_server.core.audit_chain import AuditEntry, AuditHead, HeadKey
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_log = logging.getLogger(__name__)
_SQL = queries.load(__file__)
_ROWS: Final = 2_000
_HEADS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sought:
    """Which entries; what is empty does not choose. An `action` chooses those under it as well."""

    principal: str = ""
    action: str = ""
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found: the end of the chain, and where it is broken, if it is."""

    head: AuditHead
    broken_at: int = 0
    fault: str = ""


class AuditLog:
    """`key` signs heads."""

    def __init__(self, database: Database, key: HeadKey) -> None:
        self._database = database
        self._key = key

    async def note(self, tenant_id: UUID, action: str, resource: str) -> None:
        """An entry for what leaves no trace in a table of its own."""
        await self._database.execute(_SQL.note, tenant_id, action, resource)

    async def list(self, tenant_id: UUID, before: int | None, limit: int, sought: Sought) -> list[AuditEntry]:
        """Newest first."""
        filters = (sought.principal, sought.action, sought.resource)
        rows = await self._database.of(tenant_id).fetch(_SQL.list, tenant_id, before, limit, *filters)
        return [AuditEntry(*row) for row in rows]

    async def head(self, tenant_id: UUID) -> AuditHead:
        row = await self._database.fetchrow(_SQL.head, tenant_id)
        return AuditHead(*row) if row else AuditHead(tenant_id, 0, b"")

    async def sign(self, head: AuditHead) -> bytes:
        """Its signature, which is kept, and told to the log, where who changes the database does not reach it."""
        signature = self._key.sign(head)
        if await self._database.execute(_SQL.sign, head.tenant_id, head.sequence, signature) == "INSERT 0 1":
            told = (head.tenant_id, head.sequence, head.hash.hex(), signature.hex())
            # not called a `signature`, which the log would take for a secret
            _log.info("audit.head tenant=%s sequence=%d hash=%s signed=%s", *told)
        return signature

    async def sign_heads(self) -> None:
        """Of every tenant where something was done."""
        for row in await self._database.fetch(_SQL.unsigned, _HEADS):
            await self.sign(AuditHead(*row))

    def signed(self, head: AuditHead, signature: bytes) -> bool:
        return self._key.signed(head, signature)

    async def prove(self, tenant_id: UUID, *kept: AuditHead) -> Proof:
        """Looks at every entry of a tenant; `kept` are heads that somebody has put aside."""
        head = await self.head(tenant_id)
        hashes = {each.sequence: each.hash for each in kept}
        proof = await self._walk(head, hashes)
        cut = max(await self._database.fetchval(_SQL.last_signed, tenant_id), *hashes, 0)
        if not proof.fault and cut > head.sequence and cut > (await self.head(tenant_id)).sequence:
            return Proof(head, head.sequence + 1, "the end is missing")
        return proof

    async def _walk(self, head: AuditHead, kept: dict[int, bytes]) -> Proof:
        at, before = 0, b""
        while at < head.sequence:
            rows = await self._database.fetch(_SQL.after, head.tenant_id, at, head.sequence, _ROWS)
            last = rows[-1]["sequence"] if rows else head.sequence
            signed = await self._database.fetch(_SQL.signatures, head.tenant_id, at, last)
            signatures = {row["sequence"]: row["signature"] for row in signed}
            for entry in (AuditEntry(*row) for row in rows):
                fault = _fault(entry, at + 1, before) or self._unlike(entry, signatures, kept)
                if fault:
                    return Proof(head, at + 1, fault)
                at, before = entry.sequence, entry.hash
            if not rows:
                return Proof(head, at + 1, "the end is missing")
        return Proof(head) if before == head.hash else Proof(head, at, "the head is another one")

    def _unlike(self, entry: AuditEntry, signatures: dict[int, bytes], kept: dict[int, bytes]) -> str:
        """Why it is not what was signed, or kept."""
        head = AuditHead(entry.tenant_id, entry.sequence, entry.hash)
        signature = signatures.get(entry.sequence)
        if signature is not None and not self._key.signed(head, signature):
            return "the entry is not the one that was signed"
        return "" if kept.get(entry.sequence, entry.hash) == entry.hash else "the entry is not the one that was kept"


def _fault(entry: AuditEntry, sequence: int, before: bytes) -> str:
    """Why it cannot stand here."""
    if entry.sequence != sequence:
        return "an entry is missing"
    return "" if entry.hash == entry.hash_after(before) else "the entry was changed"
