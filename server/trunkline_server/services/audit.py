"""AuditService: what operators did in a tenant, and the proof that nothing of it was changed."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import audit_pb2
from trunkline_server.core.audit_chain import AuditEntry, AuditHead
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.store.audit_log import AuditLog, Sought


@dataclass(frozen=True)
class AuditService:
    """The caller's own tenant."""

    log: AuditLog
    tokens: PageTokens

    async def list_entries(self, call: Call, request: audit_pb2.ListEntriesRequest) -> audit_pb2.ListEntriesResponse:
        tenant_id = call.caller.tenant_id
        paging = self.tokens.paging(tenant_id, request)
        sought = Sought(*(readable(name, getattr(request, name)) for name in ("principal", "action", "resource")))
        rows = await self.log.list(tenant_id, paging.behind, paging.limit, sought)
        page, token = paging.cut(rows, lambda row: (row.sequence,))
        return audit_pb2.ListEntriesResponse(entries=map(_entry, page), next_page_token=token)

    async def verify_log(self, call: Call, request: audit_pb2.VerifyLogRequest) -> audit_pb2.VerifyLogResponse:
        tenant_id = call.caller.tenant_id
        kept = [self._kept(call, request.kept_head)] if request.HasField("kept_head") else []
        proof = await self.log.prove(tenant_id, *kept)
        intact = not proof.fault
        signature = await self.log.sign(proof.head) if intact else b""
        return audit_pb2.VerifyLogResponse(
            intact=intact,
            fault=proof.fault,
            broken_at=proof.broken_at,
            head=audit_pb2.AuditHead(sequence=proof.head.sequence, hash=proof.head.hash, signature=signature),
        )

    def _kept(self, call: Call, told: audit_pb2.AuditHead) -> AuditHead:
        head = AuditHead(call.caller.tenant_id, told.sequence, told.hash)
        if not self.log.signed(head, told.signature):
            raise invalid("kept_head.signature", "is not of this gateway, or of another head")
        return head


def _entry(entry: AuditEntry) -> audit_pb2.AuditEntry:
    return audit_pb2.AuditEntry(
        sequence=entry.sequence,
        create_time=timestamp(entry.create_time),
        principal=entry.principal,
        action=entry.action,
        resource=entry.resource,
        method=entry.method,
        request_id=entry.request_id,
        hash=entry.hash,
    )
