"""Where trainings are ordered: what is to be trained, whether it can be, and what it can cost."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import fine_tuning_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.call import Call, Caller
from trunkline_server.core.errors import FieldViolation, QuotaViolation, Reason, TrunklineError, invalid
from trunkline_server.core.pricing import Bill, Price
from trunkline_server.core.tuning.dataset import Dataset
from trunkline_server.core.tuning.rules import Rules
from trunkline_server.core.tuning.size import epochs_for, training_bill
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.guards.guards import Guards
from trunkline_server.gateway.jobs.orders import CARRIER_ATTEMPTS, CARRIER_S, QUEUE, made
from trunkline_server.gateway.limits.sizing import subject_of
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.tuning.datasets import Datasets
from trunkline_server.gateway.tuning.tariffs import Tariffs
from trunkline_server.store.accounts import AccountRef
from trunkline_server.store.files import OPERATORS
from trunkline_server.store.fine_tunes import KIND, FineTunes, TuneRow
from trunkline_server.store.job import JobOrder
from trunkline_server.store.jobs import NOBODY
from trunkline_server.wire.tuning import Lesson, TuningCraft

LIFE_S: Final = 14 * 24 * 3600
"""Longer than any training, with its queue."""
FAULTS_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """Who trains what, at what price."""

    route: Route
    craft: TuningCraft
    account: AccountRef
    price: Price | None
    rules: Rules


@dataclass(frozen=True)
class Desk:
    """For the service alone; trainings are carried by jobs."""

    admission: Admission
    guards: Guards
    tariffs: Tariffs
    datasets: Datasets
    tunes: FineTunes

    async def plan(self, call: Call, model: str) -> Plan:
        """Raises MODEL_NOT_FOUND, MODEL_NOT_ALLOWED, PROVIDER_DISABLED, CAPABILITY_UNSUPPORTED, PRICE_UNKNOWN."""
        route = self.admission.routes.find(model, call.caller)
        craft = route.upstream.provider.tuning
        if craft is None:
            raise invalid("model", f"{route.provider} trains no models", Reason.CAPABILITY_UNSUPPORTED)
        account = await self.admission.account(call, route)
        price = self.tariffs.training(route.provider, route.model, charged=not account.unlimited)
        rules = Rules(craft.examples_min, self.tariffs.tokens_max(route.provider, route.model))
        return Plan(route, craft, account, price, rules)

    def report(self, dataset: Dataset, epoch_count: int, plan: Plan | None) -> fine_tuning_pb2.DatasetReport:
        """What a dataset is worth."""
        epochs = epoch_count or epochs_for(dataset.example_count)
        told = fine_tuning_pb2.DatasetReport(
            valid=not dataset.fault_count,
            example_count=dataset.example_count,
            token_count=dataset.token_count,
            epoch_count=epochs,
            trained_token_count=dataset.token_count * epochs,
            faults=dataset.faults,
            fault_count=dataset.fault_count,
        )
        if plan is not None:
            bill = self._bill(plan, told.trained_token_count)
            told.cost.CopyFrom(money.usd(bill.cost_nano_usd))
            told.charge.CopyFrom(money.credits(bill.charge_nanos))
        return told

    async def start(self, call: Call, wanted: fine_tuning_pb2.CreateFineTuneRequest) -> TuneRow:
        """The training, or the one that the request id has begun. Raises what `plan` does, and what is wrong with the
        files, CREDIT_INSUFFICIENT, BUDGET_EXCEEDED, IDEMPOTENCY_KEY_REUSED."""
        plan = await self.plan(call, wanted.model)
        self._require_unguarded(call)
        fingerprint = _fingerprint(call, wanted)
        dataset = await self._looked_through(call, wanted.training_file_id, plan.rules, "training_file_id")
        if wanted.validation_file_id:
            tried = Rules(1, plan.rules.tokens_max)
            await self._looked_through(call, wanted.validation_file_id, tried, "validation_file_id")
        report = self.report(dataset, wanted.hyperparameters.epoch_count, plan)
        wanted.hyperparameters.epoch_count = report.epoch_count
        plan.craft.begin(Lesson(plan.route.model, "", "", wanted))  # whatever it cannot say is refused now
        bill = self._bill(plan, report.trained_token_count)
        _check_max_cost(wanted, bill.charge_nanos)
        row = _row(call, wanted, plan, bill, report.trained_token_count)
        return await self._ordered(call, row, plan, bill, fingerprint)

    async def end_lost(self) -> None:
        """Those whose carrier has failed have failed, and nothing is allowed for them any more."""
        for tenant_id, fine_tune_id in await self.tunes.end_lost():
            call = Call("", Caller(tenant_id, "", frozenset()), "", 0.0)
            await self.admission.disallow(call, fine_tune_id)

    async def _ordered(self, call: Call, row: TuneRow, plan: Plan, bill: Bill, fingerprint: bytes) -> TuneRow:
        subject = subject_of(call, row.provider, row.base_model, row.wanted.labels)
        await self.admission.allow_bill(call, subject, bill, row.id, LIFE_S)
        try:
            order = _order(call, row, plan, fingerprint)
            fine_tune_id = made(order, await self.tunes.create(row, order))
        except BaseException:
            await self.admission.disallow(call, row.id)
            raise
        if fine_tune_id != row.id:
            await self.admission.disallow(call, row.id)
        return await self.tunes.find(call.caller.tenant_id, ids.spell("ft", fine_tune_id))

    async def _looked_through(self, call: Call, file_id: str, rules: Rules, field: str) -> Dataset:
        dataset = await self.datasets.looked_through(call.caller.tenant_id, file_id, rules, field)
        if dataset.fault_count:
            raise _faulty(dataset, field)
        return dataset

    def _require_unguarded(self, call: Call) -> None:
        """What is masked in questions must not be learned from examples."""
        if self.guards.policies.of(call.caller.tenant_id).armed is not None:
            message = "a dataset cannot be masked, and the tenant's calls are guarded"
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, message)

    def _bill(self, plan: Plan, trained_tokens: int) -> Bill:
        return training_bill(plan.price, trained_tokens, self.tariffs.credits_per_usd_nanos)


def _row(call: Call, wanted: fine_tuning_pb2.CreateFineTuneRequest, plan: Plan, most: Bill, tokens: int) -> TuneRow:
    return TuneRow(
        id=ids.new_uuid(),
        tenant_id=call.caller.tenant_id,
        user_id=call.user_id,
        key_id=call.caller.principal,
        provider=plan.route.provider,
        account_id=call.caller.tenant_id if plan.route.own_key else OPERATORS,
        base_model=plan.route.model,
        wanted=wanted,
        price=plan.price,
        estimated_tokens=tokens,
        held_account=plan.account.id,
        held_nanos=most.charge_nanos,
    )


def _order(call: Call, row: TuneRow, plan: Plan, fingerprint: bytes) -> JobOrder:
    """The job that carries it, with its money."""
    key = call.idempotency_key
    return JobOrder(
        id=row.id,
        tenant_id=NOBODY,
        user_id="",
        account="",
        key_id=row.key_id,
        allowed_models=(),
        queue=QUEUE,
        kind=KIND,
        provider=row.provider,
        model=row.base_model,
        spec=b"",
        life_s=LIFE_S,
        max_attempts=CARRIER_ATTEMPTS,
        timeout_s=CARRIER_S,
        hold_account=row.held_account,
        hold_nanos=row.held_nanos,
        price_version=plan.price.version if plan.price else "",
        fingerprint=fingerprint,
        request_id=f"{row.tenant_id.hex} {row.key_id} {key}" if key else None,
    )


def _fingerprint(call: Call, wanted: fine_tuning_pb2.CreateFineTuneRequest) -> bytes:
    """What makes two of them the same."""
    bare = fine_tuning_pb2.CreateFineTuneRequest()
    bare.CopyFrom(wanted)
    bare.ClearField("request_id")
    said = f"{call.user_id}\0{call.account_id}\0".encode() + bare.SerializeToString(deterministic=True)
    return hashlib.sha256(said).digest()


def _check_max_cost(wanted: fine_tuning_pb2.CreateFineTuneRequest, most_nanos: int) -> None:
    if wanted.HasField("max_cost") and most_nanos > wanted.max_cost.nanos:
        needed, allowed = money.to_decimal_text(most_nanos), money.to_decimal_text(wanted.max_cost.nanos)
        raise TrunklineError(
            Reason.CREDIT_INSUFFICIENT,
            f"the training may cost {needed} credits, more than its max_cost {allowed}",
            quota=(QuotaViolation("max_cost", f"needed {needed}, available {allowed}"),),
        )


def _faulty(dataset: Dataset, field: str) -> TrunklineError:
    """Each fault with its line."""
    told = [
        FieldViolation(f"{field}:{fault.line}{'.' if fault.field else ''}{fault.field}", fault.description)
        for fault in dataset.faults[:FAULTS_TOLD]
    ]
    message = f"{field}: {dataset.fault_count} faults, the first in line {dataset.faults[0].line}"
    return TrunklineError(Reason.VALIDATION, message, violations=told)
