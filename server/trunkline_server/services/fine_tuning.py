"""FineTuningService: datasets, trainings, and the names that trained models get."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from google.protobuf.message import Message
from google.rpc import status_pb2

from trunkline.v1 import fine_tuning_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid, not_found
from trunkline_server.core.moment import moment_of, timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.pricing import price_unknown
from trunkline_server.core.text import readable
from trunkline_server.core.tuning.rules import Rules
from trunkline_server.gateway.tuning.datasets import Gathered
from trunkline_server.gateway.tuning.desk import Desk
from trunkline_server.gateway.tuning.models import TunedModels
from trunkline_server.store.examples import Sought
from trunkline_server.store.fine_tunes import TuneRow
from trunkline_server.store.tuned_models import DeployedRow

EXAMPLES_DEFAULT: Final = 1000


@dataclass(frozen=True)
class FineTuningService:
    """The tenant's, whoever of its users asks."""

    desk: Desk
    models: TunedModels
    tokens: PageTokens

    async def create_dataset(
        self, call: Call, request: fine_tuning_pb2.CreateDatasetRequest
    ) -> fine_tuning_pb2.CreateDatasetResponse:
        plan = await self.desk.plan(call, readable("model", request.model)) if request.model else None
        gathered = await self._gathered(call, request)
        file = await self.desk.datasets.keep(call, request.name, gathered.lines)
        rules = plan.rules if plan else Rules()
        dataset = await self.desk.datasets.looked_through(call.caller.tenant_id, file.name, rules, "source")
        report = self.desk.report(dataset, 0, plan)
        report.skipped_count = gathered.skipped_count
        return fine_tuning_pb2.CreateDatasetResponse(file_id=file.name, report=report)

    async def validate_dataset(
        self, call: Call, request: fine_tuning_pb2.ValidateDatasetRequest
    ) -> fine_tuning_pb2.ValidateDatasetResponse:
        plan = await self.desk.plan(call, readable("model", request.model)) if request.model else None
        rules, file_id = plan.rules if plan else Rules(), readable("file_id", request.file_id)
        dataset = await self.desk.datasets.looked_through(call.caller.tenant_id, file_id, rules, "file_id")
        return fine_tuning_pb2.ValidateDatasetResponse(report=self.desk.report(dataset, request.epoch_count, plan))

    async def create_fine_tune(
        self, call: Call, request: fine_tuning_pb2.CreateFineTuneRequest
    ) -> fine_tuning_pb2.CreateFineTuneResponse:
        for name in ("model", "training_file_id", "validation_file_id"):
            readable(name, getattr(request, name))
        for name, value in request.labels.items():
            readable("labels", name)
            readable("labels", value)
        row = await self.desk.start(call, request)
        return fine_tuning_pb2.CreateFineTuneResponse(fine_tune=_message(row))

    async def get_fine_tune(
        self, call: Call, request: fine_tuning_pb2.GetFineTuneRequest
    ) -> fine_tuning_pb2.GetFineTuneResponse:
        row = await self._find(call, request.fine_tune_id)
        told = _message(row)
        told.checkpoints.extend(await self.desk.tunes.checkpoints(row.id))
        return fine_tuning_pb2.GetFineTuneResponse(fine_tune=told)

    async def list_fine_tunes(
        self, call: Call, request: fine_tuning_pb2.ListFineTunesRequest
    ) -> fine_tuning_pb2.ListFineTunesResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = await self.desk.tunes.page(call.caller.tenant_id, paging.behind_id, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.id.hex,))
        return fine_tuning_pb2.ListFineTunesResponse(fine_tunes=map(_message, page), next_page_token=token)

    async def cancel_fine_tune(
        self, call: Call, request: fine_tuning_pb2.CancelFineTuneRequest
    ) -> fine_tuning_pb2.CancelFineTuneResponse:
        name = readable("fine_tune_id", request.fine_tune_id)
        row = await self.desk.tunes.cancel(call.caller.tenant_id, name)
        return fine_tuning_pb2.CancelFineTuneResponse(fine_tune=_message(row))

    async def list_fine_tune_events(
        self, call: Call, request: fine_tuning_pb2.ListFineTuneEventsRequest
    ) -> fine_tuning_pb2.ListFineTuneEventsResponse:
        row = await self._find(call, request.fine_tune_id)
        paging = self.tokens.paging(call.caller.tenant_id, request)
        placed = await self.desk.tunes.events(row.id, paging.behind or 0, paging.limit)
        page, token = paging.cut(placed, lambda each: (each[0],))
        return fine_tuning_pb2.ListFineTuneEventsResponse(events=[event for _, event in page], next_page_token=token)

    async def deploy_model(
        self, call: Call, request: fine_tuning_pb2.DeployModelRequest
    ) -> fine_tuning_pb2.DeployModelResponse:
        row = await self._find(call, request.fine_tune_id)
        model = await self._trained(row, request.checkpoint_step)
        await self.models.refresh()  # it may have been trained a moment ago
        self._require_free(call, request.name)
        version = await self._version(call, row.provider, model)
        step = request.checkpoint_step
        wanted = DeployedRow(request.name, row.id, row.provider, model, row.base_model, step)
        made = await self.models.tables.deploy(call.caller.tenant_id, wanted)
        await self.models.refresh()
        return fine_tuning_pb2.DeployModelResponse(model=made.message(version))

    async def list_deployed_models(
        self, call: Call, request: fine_tuning_pb2.ListDeployedModelsRequest
    ) -> fine_tuning_pb2.ListDeployedModelsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = await self.models.tables.page(call.caller.tenant_id, paging.behind, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.name,))
        told = [row.message(self.models.price_version(call.caller, row.provider, row.model)) for row in page]
        return fine_tuning_pb2.ListDeployedModelsResponse(models=told, next_page_token=token)

    async def undeploy_model(
        self, call: Call, request: fine_tuning_pb2.UndeployModelRequest
    ) -> fine_tuning_pb2.UndeployModelResponse:
        await self.models.tables.undeploy(call.caller.tenant_id, request.name)
        await self.models.refresh()
        return fine_tuning_pb2.UndeployModelResponse()

    async def _find(self, call: Call, name: str) -> TuneRow:
        return await self.desk.tunes.find(call.caller.tenant_id, readable("fine_tune_id", name))

    async def _gathered(self, call: Call, request: fine_tuning_pb2.CreateDatasetRequest) -> Gathered:
        datasets, tenant_id = self.desk.datasets, call.caller.tenant_id
        most = request.example_count_max or EXAMPLES_DEFAULT
        if request.WhichOneof("source") == "jobs":
            return await datasets.of_jobs(tenant_id, _sought_jobs(request.jobs), most)
        sought = _sought_conversations(request.conversations)
        await self._require_all(tenant_id, sought)
        return await datasets.of_conversations(tenant_id, sought, most)

    async def _require_all(self, tenant_id: UUID, sought: Sought) -> None:
        """Raises RESOURCE_NOT_FOUND for a conversation that is named and is not there."""
        named = Sought(conversation_ids=sought.conversation_ids)
        if not sought.conversation_ids:
            return
        found = await self.desk.datasets.examples.conversations(tenant_id, named, len(sought.conversation_ids))
        for missing in sorted(set(sought.conversation_ids) - {each for each, _ in found}):
            raise not_found("conversation", ids.spell("conv", missing))

    async def _trained(self, row: TuneRow, step: int) -> str:
        """The model, or its checkpoint. Raises VALIDATION where there is none."""
        if row.state != "succeeded" or not row.provider_model:
            raise invalid("fine_tune_id", f"has no model: it is {row.state}")
        if not step:
            return row.provider_model
        points = {each.step: each.provider_model for each in await self.desk.tunes.checkpoints(row.id)}
        if not points.get(step):
            raise invalid("checkpoint_step", "is none of a checkpoint that can be called")
        return points[step]

    def _require_free(self, call: Call, name: str) -> None:
        """Raises VALIDATION where the name means a model that is there for everybody."""
        if self.models.is_shared(name):
            raise invalid("name", "means another model already")

    async def _version(self, call: Call, provider: str, model: str) -> str:
        """Raises PRICE_UNKNOWN for a charged caller."""
        version = self.models.price_version(call.caller, provider, model)
        if not version and not self.desk.tariffs.unknown_price_is_free:
            route = self.desk.admission.routes.find_model(f"{provider}/{model}", call.caller)
            account = await self.desk.admission.account(call, route)
            if not account.unlimited:
                raise price_unknown(f"{provider}/{model}")
        return version


def _sought_conversations(source: fine_tuning_pb2.ConversationSource) -> Sought:
    return Sought(
        user_id=readable("conversations.user_id", source.user_id),
        start_time=_moment("conversations.start_time", source, "start_time"),
        end_time=_moment("conversations.end_time", source, "end_time"),
        conversation_ids=[ids.require("conv", "conversation", name) for name in source.conversation_ids],
    )


def _sought_jobs(source: fine_tuning_pb2.JobSource) -> Sought:
    return Sought(
        user_id=readable("jobs.user_id", source.user_id),
        start_time=_moment("jobs.start_time", source, "start_time"),
        end_time=_moment("jobs.end_time", source, "end_time"),
        batch_id=ids.require("batch", "batch", source.batch_id) if source.batch_id else None,
        labels={readable("jobs.labels", name): readable("jobs.labels", each) for name, each in source.labels.items()},
    )


def _moment(path: str, source: Message, field: str) -> datetime | None:
    return moment_of(path, getattr(source, field)) if source.HasField(field) else None


def _message(row: TuneRow) -> fine_tuning_pb2.FineTune:
    """Without its checkpoints."""
    told = fine_tuning_pb2.FineTune(
        fine_tune_id=row.name,
        state=fine_tuning_pb2.FineTuneState.Value(f"FINE_TUNE_STATE_{row.state.upper()}"),
        cancel_requested=row.cancel_requested,
        provider=row.provider,
        base_model=row.base_model,
        training_file_id=row.wanted.training_file_id,
        validation_file_id=row.wanted.validation_file_id,
        suffix=row.wanted.suffix,
        hyperparameters=row.wanted.hyperparameters,
        seed=row.wanted.seed if row.wanted.HasField("seed") else None,
        provider_model=row.provider_model,
        estimated_token_count=row.estimated_tokens,
        trained_token_count=row.trained_tokens,
        held=money.credits(row.held_nanos),
        price_version=row.price.version if row.price else "",
        error_code=row.error_code,
        user_id=row.user_id,
        labels=row.wanted.labels,
        create_time=timestamp(row.create_time),
        end_time=timestamp(row.end_time),
    )
    if row.is_over:
        told.cost.CopyFrom(money.usd(row.cost_nano_usd))
        told.charge.CopyFrom(money.credits(row.charge_nanos))
    if row.error:
        told.error.CopyFrom(status_pb2.Status.FromString(row.error))
    return told
