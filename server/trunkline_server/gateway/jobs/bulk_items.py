"""An item of a batch that a provider does by itself: spelled as its line, and ended by its answer with the bill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Describe, Reason, TrunklineError
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.gateway import refusals
from trunkline_server.gateway.choice import Choice
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.jobs.bulk_forms import BulkForm, form_of
from trunkline_server.gateway.jobs.kind import call_of
from trunkline_server.gateway.jobs.orders import BULK_LIFE_S
from trunkline_server.gateway.media import Media
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.run import Run, now
from trunkline_server.gateway.work import Work
from trunkline_server.store.accounts import AccountRef
from trunkline_server.store.bulk import Carriage, Carried
from trunkline_server.store.holds import Reserved
from trunkline_server.store.job import JobRow
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.leased_ledger import Tab, paying
from trunkline_server.wire.bulk import Entry, Line

RunT = TypeVar("RunT", bound=Run[Any])


@dataclass(frozen=True)
class BulkItems:
    """`describe` words the errors of items."""

    gateway: Gateway
    media: Media
    policy: EgressPolicy
    carriage: Carriage
    jobs: Jobs
    describe: Describe

    def require_unguarded(self, call: Call, work: Work[Any, Any]) -> None:
        """Answers of a batch come without their questions, so nothing that was masked could be put back. Raises
        CAPABILITY_UNSUPPORTED.
        """
        if self.gateway.guards.of(call, work) is not None:
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, "providers' own batches are not for guarded calls")

    async def lines(self, batch: Carried, route: Route) -> AsyncGenerator[Line, None]:
        """What runs of a batch, spelled; what cannot be spelled, or does not go with the others, has failed."""
        path = ""
        async with aclosing(self.carriage.running(batch.id)) as pages:
            async for items in pages:
                for item in items:
                    try:
                        line = await self._line(item, route, path)
                    except TrunklineError as error:
                        await self._fail(item, error)
                    else:
                        path = line.request.path
                        yield line

    async def bring(self, batch: Carried, route: Route, entries: Sequence[Entry]) -> None:
        """Ends the items that are answered; of those that have ended, and of names that are not ours, nothing comes."""
        by_index = {entry.index: entry for entry in entries}
        items = await self.carriage.named(batch.id, list(by_index))
        await asyncio.gather(*(self._end(item, route, by_index[index]) for index, item in items.items()))

    async def give_up(self, batch: Carried) -> None:
        """What runs of a batch is not allowed for any more."""
        async with aclosing(self.carriage.running(batch.id)) as pages:
            async for items in pages:
                for item in items:
                    await self.gateway.admission.disallow(call_of(item), item.hold_id)

    async def _line(self, item: JobRow, route: Route, path: str) -> Line:
        """Raises what the question cannot be asked for, and BUDGET_EXCEEDED."""
        admission, call = self.gateway.admission, call_of(item)
        spec = jobs_pb2.JobSpec.FromString(item.spec)
        form, takes_urls = form_of(spec), route.upstream.provider.takes_urls
        work = form.work(await self.media.inline(call.caller.tenant_id, form.input(spec), takes_urls=takes_urls))
        self.require_unguarded(call, work)
        account = await admission.account(call, route)
        offer = admission.offer(work, route, charged=not account.unlimited)
        line = Line(item.item_index or 0, form.request(route, work.errand(call, offer)))
        if path and line.request.path != path:
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, "the provider wants this elsewhere than the first item")
        await admission.allow(call, work, offer, item.hold_id, BULK_LIFE_S)
        return line

    async def _end(self, item: JobRow, route: Route, entry: Entry) -> None:
        spec = jobs_pb2.JobSpec.FromString(item.spec)
        form = form_of(spec)
        run = self._run(item, route, form.work(form.input(spec)))
        error = self._heard(run, form, entry)
        tab = Tab(item.id, item.lease_token, item.hold_id, item.hold_account, 0, self.jobs.apply)
        outcome = chat_pb2.OUTCOME_FAILED if error else run.outcome_of()
        with paying(tab):
            await self.gateway.settlement.settle(run, outcome, error.reason.value if error else "")
        if error is None:
            result = jobs_pb2.JobResult()
            form.write(run, result)
            change = tab.change("succeeded", result=result.SerializeToString())
        else:
            error.partial = run.partial()
            change = tab.change("failed", error=self._told(item, error), error_reason=error.reason.value)
        await self.jobs.apply(change)

    def _run(self, item: JobRow, route: Route, work: Work[Any, RunT]) -> RunT:
        """A call that has been made already."""
        call, offer = call_of(item), self.gateway.admission.offer(work, route, charged=False)
        return work.run_type(
            completion_id=item.hold_id,
            call=call,
            work=work,
            route=route,
            account=AccountRef(item.hold_account, item.tenant_id, unlimited=False, low_balance_nanos=0),
            hold=Reserved(item.hold_id, item.hold_account, offer.most_nanos, "held", 0),
            errand=work.errand(call, offer),
            offer=offer,
            began=time.perf_counter(),
            create_time=now(),
            choice=Choice((), work),
        )

    def _heard(self, run: RunT, form: BulkForm[RunT], entry: Entry) -> TrunklineError | None:
        """The answer as the wire reads it; what is wrong with it, if anything."""
        try:
            if not 200 <= entry.status < 300:
                raise run.route.upstream.wire.failure(entry.status, {}, entry.body)
            form.read(run, entry)
        except UpstreamFailure as failure:
            run.failed(failure, run.began)
            return refusals.told(
                failure, run.failures, run.input.model, begun=False, own_key=run.route.own_key, partial=None
            )
        except TrunklineError as error:
            return error
        return None

    async def _fail(self, item: JobRow, error: TrunklineError) -> None:
        """It is not asked at all."""
        tab = Tab(item.id, item.lease_token, item.hold_id, item.hold_account, 0, self.jobs.apply)
        await self.jobs.apply(tab.change("failed", error=self._told(item, error), error_reason=error.reason.value))

    def _told(self, item: JobRow, error: TrunklineError) -> bytes:
        told: bytes = self.describe(error, ids.spell("job", item.id)).SerializeToString()
        return told
