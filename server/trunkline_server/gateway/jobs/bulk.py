"""Batches that a provider does by its own batch API: handed in once, asked after now and then, brought home in parts.

begin ──> upload ──> intend ──> submit ──> keep ──> poll ... ──> bring home
   │ a crash before `intend`: it is begun again           │ behind `keep`: whoever comes next goes on asking
   └ a crash between them: it may have been begun, so the items fail rather than be paid for twice
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from trunkline.v1 import errors_pb2, jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call, Caller
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.core.reduction import reduced
from trunkline_server.gateway import refusals
from trunkline_server.gateway.jobs.bulk_forms import form_of
from trunkline_server.gateway.jobs.bulk_items import BulkItems
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer, NotYet
from trunkline_server.gateway.jobs.long_work import MAY_HAVE_BEGUN, unknown
from trunkline_server.gateway.jobs.offers import offered_at
from trunkline_server.gateway.routes import Route
from trunkline_server.providers.bulk import Bulk
from trunkline_server.store.bulk import ROWS, Carried
from trunkline_server.store.operations import Operations
from trunkline_server.wire.bulk import BulkCraft, Entry, Line, Standing

_log = logging.getLogger(__name__)

GONE: Final = frozenset((FailureKind.INVALID, FailureKind.MODEL_UNKNOWN))
"""The provider does not know the batch any more; asking again would say the same."""


@dataclass(frozen=True)
class BulkJob:
    """The job that carries a batch. Each attempt takes one step; no worker waits for the provider."""

    items: BulkItems
    operations: Operations

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        """Of an item, at what it costs in a batch. Raises what the call itself would, and CAPABILITY_UNSUPPORTED."""
        form = form_of(spec)
        form.check(spec, self.items.policy)
        admission, work = self.items.gateway.admission, form.work(form.input(spec))
        route, bulk = _way(admission.candidates.first(call, work.input))
        _require_taken(bulk.craft, form.operation, route)
        self.items.require_unguarded(call, work)
        return await offered_at(route, admission, call, work)

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:  # noqa: ARG002 - it has none
        batch = await self.items.carriage.find(bench.job_id)
        if batch is None:
            raise TrunklineError(Reason.INTERNAL, "the job carries no batch")
        caller = Caller(batch.tenant_id, batch.key_id, frozenset(), batch.allowed_models)
        found = self.items.gateway.admission.routes.find_model(f"{batch.provider}/{batch.model}", caller)
        route, bulk = _way(found)
        began = await self.operations.find(bench.job_id)
        if began is None:
            await self._hand_in(batch, route, bulk, bench)
        elif began.operation is None:
            raise await self._in_vain(batch, unknown())
        else:
            await self._ask_after(batch, route, bulk, began.operation)
        return Done(jobs_pb2.JobResult())

    async def _in_vain(self, batch: Carried, error: TrunklineError) -> TrunklineError:
        """What was allowed for the items is given back; who hands them in again has it allowed again."""
        await self.items.give_up(batch)
        return error

    async def _hand_in(self, batch: Carried, route: Route, bulk: Bulk, bench: Bench) -> None:
        """Raises NotYet once the provider has it."""
        await self.items.carriage.begin(batch.id, bench.lease_token)
        lines = await self._lines(batch, route, bulk.craft)
        if not lines:
            return
        try:
            uploaded = await bulk.upload(lines)
        except UpstreamFailure as failure:
            raise await self._in_vain(batch, _told(route, failure)) from failure
        await self._begun(batch, route, bulk, bench, lines=lines, uploaded=uploaded)
        raise NotYet(bulk.craft.poll_s)

    async def _lines(self, batch: Carried, route: Route, craft: BulkCraft) -> list[Line]:
        """As many as the provider takes at once: with files in them they could be any size."""
        lines: list[Line] = []
        room_bytes = craft.body_bytes_max
        async with aclosing(self.items.lines(batch, route)) as found:
            async for line in found:
                room_bytes -= len(line.request.body)
                if room_bytes < 0:
                    wrong = f"have more than the {craft.body_bytes_max} bytes that the provider takes"
                    raise await self._in_vain(batch, invalid("items", wrong))
                lines.append(line)
        return lines

    async def _begun(
        self, batch: Carried, route: Route, bulk: Bulk, bench: Bench, *, lines: Sequence[Line], uploaded: str
    ) -> None:
        """Whoever has lost the job gives nothing back: it is another worker's."""
        if not await self.operations.intend(bench.job_id, bench.lease_token):
            raise unknown()
        try:
            operation = await bulk.submit(route.model, lines, uploaded)
        except UpstreamFailure as failure:
            if failure.kind in MAY_HAVE_BEGUN:
                raise await self._in_vain(batch, unknown()) from failure
            await self.operations.forget(bench.job_id, bench.lease_token)
            raise await self._in_vain(batch, _told(route, failure)) from failure
        if not await self.operations.keep(bench.job_id, bench.lease_token, operation):
            await _stop(bulk, operation)
            raise unknown()

    async def _ask_after(self, batch: Carried, route: Route, bulk: Bulk, operation: str) -> None:
        """Raises NotYet while the provider is at it, and where it does not say."""
        if batch.cancelled:
            await _stop(bulk, operation)
        try:
            standing = await bulk.poll(operation)
            if standing.results is None:
                raise NotYet(bulk.craft.poll_s)
            await self._bring_home(batch, route, bulk, operation, standing)
        except UpstreamFailure as failure:
            if failure.kind in GONE:
                raise await self._in_vain(batch, _told(route, failure)) from failure
            _log.warning("bulk.unheard batch=%s kind=%s", batch.id.hex, failure.kind.value)
            raise NotYet(bulk.craft.poll_s * 2) from failure
        await self._end_rest(batch, route, standing)

    async def _bring_home(self, batch: Carried, route: Route, bulk: Bulk, operation: str, standing: Standing) -> None:
        for request in standing.results or ():
            waiting: list[Entry] = []
            async with aclosing(bulk.results(operation, request)) as pages:
                async for entries in pages:
                    waiting.extend(entries)
                    while len(waiting) >= ROWS:
                        await self.items.bring(batch, route, waiting[:ROWS])
                        del waiting[:ROWS]
            await self.items.bring(batch, route, waiting)

    async def _end_rest(self, batch: Carried, route: Route, standing: Standing) -> None:
        """What the provider has not answered."""
        await self.items.give_up(batch)
        if batch.cancelled:
            await self.items.carriage.end_rest(batch.id, "cancelled", Reason.CANCELLED.value, None)
            return
        error = _unanswered(route, standing)
        told = self.items.describe(error, ids.spell("batch", batch.id)).SerializeToString()
        await self.items.carriage.end_rest(batch.id, "failed", error.reason.value, told)


def _way(route: Route) -> tuple[Route, Bulk]:
    """There, at what a batch costs. Raises CAPABILITY_UNSUPPORTED."""
    craft = route.upstream.provider.bulk
    if craft is None:
        raise invalid("input.model", f"{route.provider} takes no batches", Reason.CAPABILITY_UNSUPPORTED)
    price = reduced(route.price, craft.price_percent) if route.price else None
    return replace(route, price=price), Bulk(route.upstream, craft)


def _require_taken(craft: BulkCraft, operation: Operation, route: Route) -> None:
    if operation not in craft.operations:
        what = operation.value.replace("_", " ")
        raise invalid("input.model", f"{route.provider} takes no batches of {what}", Reason.CAPABILITY_UNSUPPORTED)


def _told(route: Route, failure: UpstreamFailure) -> TrunklineError:
    told = errors_pb2.UpstreamFailure(
        provider=route.provider,
        model=route.model,
        http_status=failure.http_status,
        code=failure.code,
        kind=failure.kind.value,
    )
    return refusals.told(failure, [told], route.model, begun=False, own_key=route.own_key, partial=None)


def _unanswered(route: Route, standing: Standing) -> TrunklineError:
    if standing.failure is not None:
        return _told(route, standing.failure)
    if standing.expired:
        return TrunklineError(Reason.JOB_EXPIRED, "the provider did not come to it in time")
    return TrunklineError(Reason.PROVIDERS_EXHAUSTED, "the provider gave no answer to it")


async def _stop(bulk: Bulk, operation: str) -> None:
    """Asked as often as it is looked after, and so may fail."""
    try:
        await bulk.cancel(operation)
    except UpstreamFailure as failure:
        _log.warning("bulk.goes_on kind=%s", failure.kind.value)
