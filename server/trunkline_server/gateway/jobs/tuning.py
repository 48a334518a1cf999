"""The job that carries a training: begun at its provider once, asked after now and then, paid for at its end.

files ──> intend ──> submit ──> keep ──> poll ... ──> its end, with the bill
   │ a crash before `intend`: it is begun again      │ behind `keep`: whoever comes next goes on asking
   └ a crash between them: it may have been begun, so it fails rather than be paid for twice
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from trunkline.v1 import chat_pb2, errors_pb2, jobs_pb2, usage_pb2
from trunkline_server.core.call import Call, Caller
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.pricing import Bill
from trunkline_server.core.tuning.size import TRAINING, training_bill
from trunkline_server.gateway import refusals
from trunkline_server.gateway.abroad import Abroad, abroad
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.copies import Copies
from trunkline_server.gateway.jobs.bulk import GONE
from trunkline_server.gateway.jobs.kind import Bench, Done, NotYet
from trunkline_server.gateway.jobs.long_work import MAY_HAVE_BEGUN, unknown
from trunkline_server.gateway.run import ESTIMATE, NONE, PROVIDER_USAGE
from trunkline_server.providers.training import Training
from trunkline_server.store.files import OPERATORS
from trunkline_server.store.fine_tunes import FineTunes, Happened, TuneEnd, TuneRow
from trunkline_server.store.holds import Reserved
from trunkline_server.store.ledger import Ledger
from trunkline_server.store.operations import Operations
from trunkline_server.store.usage import UsageRow
from trunkline_server.wire.tuning import Lesson, Standing

_log = logging.getLogger(__name__)

OPERATION: Final = "fine_tune"
"""As it stands on usage rows."""
OFF_S: Final = 60.0
OVER: Final = frozenset(("succeeded", "failed", "cancelled"))
OUTCOMES: Final = {
    "succeeded": chat_pb2.OUTCOME_COMPLETED,
    "failed": chat_pb2.OUTCOME_FAILED,
    "cancelled": chat_pb2.OUTCOME_CANCELLED,
}


ERRORS: Final = {"failed": Reason.PROVIDER_REJECTED.value, "cancelled": Reason.CANCELLED.value}


@dataclass(frozen=True)
class TuneJob:
    """Each attempt takes one step; no worker waits for the provider."""

    tunes: FineTunes
    operations: Operations
    copies: Copies
    ledger: Ledger
    admission: Admission
    credits_per_usd_nanos: int

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:  # noqa: ARG002 - it has none
        tune = await self.tunes.carried(bench.job_id)
        if tune is None:
            raise TrunklineError(Reason.INTERNAL, "the job carries no fine-tune")
        if tune.is_over:  # whoever ended it was lost before it was paid
            return await self._settled(tune)
        began = await self.operations.find(bench.job_id)
        if began is not None and began.operation is None:
            raise unknown()
        if began is None and tune.cancel_requested:
            return await self._end(tune, bench, Standing("cancelled"))
        there = self._where(tune, begun=began is not None)
        training = _training(there)
        if began is None or began.operation is None:
            await self._begin(tune, there, training, bench)
            raise NotYet(training.craft.poll_s)
        return await self._look(tune, there, training, began.operation, bench)

    def _where(self, tune: TuneRow, *, begun: bool) -> Abroad:
        """The way by which it was begun. Raises NotYet where it is off, and may be on later."""
        caller = Caller(tune.account_id, "", frozenset())
        try:
            return abroad(self.admission.routes, caller, tune.provider)
        except TrunklineError as error:
            if begun and error.reason is Reason.PROVIDER_DISABLED:
                raise NotYet(OFF_S) from error
            raise

    async def _begin(self, tune: TuneRow, there: Abroad, training: Training, bench: Bench) -> None:
        purpose, wanted = training.craft.purpose, tune.wanted
        trained = await self.copies.at(there, tune.tenant_id, wanted.training_file_id, purpose)
        tried = ""
        if wanted.validation_file_id:
            tried = (await self.copies.at(there, tune.tenant_id, wanted.validation_file_id, purpose)).provider_file_id
        lesson = Lesson(tune.base_model, trained.provider_file_id, tried, wanted)
        if not await self.operations.intend(bench.job_id, bench.lease_token):
            raise unknown()
        try:
            operation = await training.begin(lesson, tune.name)
        except UpstreamFailure as failure:
            if failure.kind in MAY_HAVE_BEGUN:
                raise unknown() from failure
            await self.operations.forget(bench.job_id, bench.lease_token)
            raise _told(tune, there, failure) from failure
        if not await self.operations.keep(bench.job_id, bench.lease_token, operation):
            await _tried(tune, "cancel", lambda: training.cancel(operation))
            raise unknown()

    async def _look(self, tune: TuneRow, there: Abroad, training: Training, operation: str, bench: Bench) -> Done:
        """Raises NotYet while the provider is at it, and where it does not say."""
        if tune.cancel_requested:
            await _tried(tune, "cancel", lambda: training.cancel(operation))
        try:
            standing = await training.poll(operation)
        except UpstreamFailure as failure:
            if failure.kind in GONE:
                raise _told(tune, there, failure) from failure
            _log.warning("fine_tune.unheard fine_tune=%s kind=%s", tune.id.hex, failure.kind.value)
            raise NotYet(training.craft.poll_s * 2) from failure
        await _tried(tune, "events", lambda: self._keep_events(tune, training, operation))
        if standing.state not in OVER:
            await self.tunes.note(tune.id, bench.lease_token, standing.state)
            raise NotYet(training.craft.poll_s)
        await _tried(tune, "checkpoints", lambda: self._keep_checkpoints(tune, training, operation))
        return await self._end(tune, bench, standing)

    async def _keep_events(self, tune: TuneRow, training: Training, operation: str) -> None:
        told = await training.events(operation)
        await self.tunes.keep_events(tune.id, [Happened(each.named, each.event) for each in told])

    async def _keep_checkpoints(self, tune: TuneRow, training: Training, operation: str) -> None:
        await self.tunes.keep_checkpoints(tune.id, await training.checkpoints(operation))

    async def _end(self, tune: TuneRow, bench: Bench, standing: Standing) -> Done:
        """What it has come to, and its bill, which is written with the end of the job."""
        tokens, basis = _trained(tune, standing)
        bill = training_bill(tune.price, tokens, self.credits_per_usd_nanos) if tokens else Bill(0, 0, "")
        end = TuneEnd(
            state=standing.state,
            provider_model=standing.model if standing.state == "succeeded" else "",
            trained_tokens=tokens,
            basis=basis,
            cost_nano_usd=bill.cost_nano_usd,
            charge_nanos=bill.charge_nanos,
            error_code=standing.code,
        )
        await self.tunes.end(tune.id, bench.lease_token, end)
        return await self._settled(msgspec.structs.replace(tune, **msgspec.structs.asdict(end)))

    async def _settled(self, tune: TuneRow) -> Done:
        """Of one that has ended."""
        hold = Reserved(tune.id, tune.held_account, tune.held_nanos, "held", 0)
        if tune.basis == NONE:
            await self.ledger.release(hold, _usage(tune))
        else:
            await self.ledger.settle(hold, tune.charge_nanos, _usage(tune))
        return Done(jobs_pb2.JobResult())


def _trained(tune: TuneRow, standing: Standing) -> tuple[int, str]:
    """As the provider tells; of one that has succeeded, and of which nothing is told, as it was estimated."""
    if standing.trained_tokens:
        return standing.trained_tokens, PROVIDER_USAGE
    if standing.trained_tokens is None and standing.state == "succeeded":
        return tune.estimated_tokens, ESTIMATE
    return 0, NONE


def _usage(tune: TuneRow) -> UsageRow:
    is_estimated = tune.basis == ESTIMATE
    source = usage_pb2.USAGE_SOURCE_ESTIMATED if is_estimated else usage_pb2.USAGE_SOURCE_PROVIDER
    return UsageRow(
        completion_id=tune.id,
        tenant_id=tune.tenant_id,
        user_id=tune.user_id,
        key_id=tune.key_id,
        operation=OPERATION,
        provider=tune.provider,
        model=tune.base_model,
        requested_model=tune.wanted.model,
        unit_counts={TRAINING: tune.trained_tokens} if tune.trained_tokens else {},
        usage_source=usage_pb2.UsageSource.Name(source),
        basis=tune.basis,
        cost_nano_usd=tune.cost_nano_usd,
        charge_nanos=tune.charge_nanos,
        price_version=tune.price.version if tune.price else "",
        outcome=chat_pb2.Outcome.Name(OUTCOMES[tune.state]),
        error_reason=ERRORS.get(tune.state, ""),
        labels=dict(tune.wanted.labels),
        request_id=tune.name,
    )


def _training(there: Abroad) -> Training:
    craft = there.upstream.provider.tuning
    if craft is None:
        raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, f"{there.upstream.name} trains no models")
    return Training(there.upstream, craft)


def _told(tune: TuneRow, there: Abroad, failure: UpstreamFailure) -> TrunklineError:
    told = errors_pb2.UpstreamFailure(
        provider=tune.provider,
        model=tune.base_model,
        http_status=failure.http_status,
        code=failure.code,
        kind=failure.kind.value,
    )
    own = there.account_id != OPERATORS
    return refusals.told(failure, [told], tune.base_model, begun=False, own_key=own, partial=None)


async def _tried(tune: TuneRow, what: str, ask: Callable[[], Awaitable[None]]) -> None:
    """What is not worth failing for: it is asked for again with the next look, or is missing."""
    try:
        await ask()
    except UpstreamFailure as failure:
        _log.warning("fine_tune.no_%s fine_tune=%s kind=%s", what, tune.id.hex, failure.kind.value)
