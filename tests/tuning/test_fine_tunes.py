"""Fine-tunes over the socket, at the sandbox: from a file to a model that answers and is paid for."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from tests.fixtures import tuning
from tests.fixtures.books import Books
from tests.fixtures.gateway import Metadata, RunningGateway, StartGateway, question, reason_of, text_of
from tests.fixtures.talks import another_tenant
from tests.fixtures.tuning import example, jsonl
from trunkline.v1 import chat_pb2, fine_tuning_pb2, limits_pb2, models_pb2, usage_pb2
from trunkline_server.core.money import NANOS
from trunkline_server.gateway.repricing import Repricing

EXAMPLES = jsonl(*(example(f"number {place}", "is a number") for place in range(4)))
WORDS = sum(len(line.split()) for line in EXAMPLES.splitlines())
SUCCEEDED, FAILED, CANCELLED = tuning.OVER


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


async def trained(gateway: RunningGateway, metadata: Metadata | None = None) -> fine_tuning_pb2.FineTune:
    file_id = await tuning.upload(gateway, EXAMPLES, metadata)
    made = await tuning.create(gateway, file_id, metadata=metadata, suffix="deeds", hyperparameters={"epoch_count": 2})
    return await tuning.ended(gateway, made.fine_tune_id, metadata)


async def ask(gateway: RunningGateway, model: str, metadata: Metadata | None = None) -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=question("Hello out there", model))
    return (await gateway.chat.Complete(request, metadata=metadata or gateway.metadata())).completion


async def listed(gateway: RunningGateway, metadata: Metadata) -> set[str]:
    request = models_pb2.ListModelsRequest(provider="sandbox", page_size=1000)
    return {model.name for model in (await gateway.models.ListModels(request, metadata=metadata)).models}


async def told_states(books: Books) -> list[str]:
    """What the events say."""
    query = "SELECT body ->> 'state' FROM event WHERE type = 'FineTuneStateChanged' ORDER BY number"
    return [row[0].removeprefix("FINE_TUNE_STATE_") for row in await books.database.fetch(query)]


async def test_a_model_is_trained_named_and_answers(books: Books, gateway: RunningGateway) -> None:
    done = await trained(gateway)
    assert (done.state, done.provider, done.base_model) == (SUCCEEDED, "sandbox", "echo")
    assert done.hyperparameters.epoch_count == 2
    assert done.provider_model.startswith("ft:echo:deeds:")
    assert done.trained_token_count == WORDS * 2 < done.estimated_token_count
    assert done.cost == usage_pb2.Amount(unit="USD", nanos=WORDS * 2 * 3000)
    assert 0 < done.charge.nanos < done.held.nanos
    assert [each.step for each in done.checkpoints] == [10, 20]
    said = [each.message for each in await tuning.events(gateway, done.fine_tune_id)]
    assert said[0] == "Validating training file"
    assert said[-1] == "The job has successfully completed"

    assert await told_states(books) == ["QUEUED", "VALIDATING", "RUNNING", "SUCCEEDED"]

    model = await tuning.deploy(gateway, done.fine_tune_id, "deeds-bot")
    assert (model.provider_model, model.price_version[:6]) == (done.provider_model, "tuned/")
    answered = await ask(gateway, "deeds-bot")
    assert text_of(answered) == "Hello out there"
    assert (answered.cost.nanos, answered.price_version) == (3 * 1500 + 3 * 3000, model.price_version)
    assert await books.charges() == [done.charge.nanos, answered.charge.nanos]
    assert [(row["operation"], row["model"]) for row in await books.usage()] == [
        ("fine_tune", "echo"),
        ("chat", done.provider_model),
    ]
    house, now = gateway.house.gateway, datetime.now(UTC)
    repricing = Repricing(books.database, house.settlement._ledger, house.admission.routes.catalogue, NANOS)
    assert await repricing.run(now - timedelta(days=1), now + timedelta(days=1), dry=True) == {}


async def test_another_tenant_finds_nothing_of_it(books: Books, gateway: RunningGateway) -> None:
    done, stranger = await trained(gateway), await another_tenant(gateway)
    await tuning.deploy(gateway, done.fine_tune_id, "deeds-bot")
    full = f"sandbox/{done.provider_model}"
    assert full in await listed(gateway, gateway.metadata())
    assert full not in await listed(gateway, stranger)
    assert text_of(await ask(gateway, full))
    for name in ("deeds-bot", full, done.provider_model, f"sandbox/{done.checkpoints[0].provider_model}"):
        assert await refused(ask(gateway, name, stranger)) == "MODEL_NOT_FOUND"
    assert await refused(tuning.get(gateway, done.fine_tune_id, stranger)) == "RESOURCE_NOT_FOUND"
    assert await refused(tuning.deploy(gateway, done.fine_tune_id, "mine", stranger)) == "RESOURCE_NOT_FOUND"
    own = await trained(gateway, stranger)
    await tuning.deploy(gateway, own.fine_tune_id, "deeds-bot", stranger)
    assert (await ask(gateway, "deeds-bot", stranger)).model == own.provider_model
    assert (await ask(gateway, "deeds-bot")).model == done.provider_model


async def test_a_name_moves_and_goes(books: Books, gateway: RunningGateway) -> None:
    done, service, metadata = await trained(gateway), gateway.fine_tuning, gateway.metadata()
    await tuning.deploy(gateway, done.fine_tune_id, "bot")
    moved = await tuning.deploy(gateway, done.fine_tune_id, "bot", checkpoint_step=10)
    assert moved.provider_model == (await ask(gateway, "bot")).model == f"{done.provider_model}:ckpt-step-10"
    names = await service.ListDeployedModels(fine_tuning_pb2.ListDeployedModelsRequest(), metadata=metadata)
    assert [(each.name, each.checkpoint_step) for each in names.models] == [("bot", 10)]
    assert await refused(tuning.deploy(gateway, done.fine_tune_id, "bot", checkpoint_step=11)) == "VALIDATION"
    assert await refused(tuning.deploy(gateway, done.fine_tune_id, "echo")) == "VALIDATION"
    gone = fine_tuning_pb2.UndeployModelRequest(name="bot")
    await service.UndeployModel(gone, metadata=metadata)
    assert await refused(ask(gateway, "bot")) == "MODEL_NOT_FOUND"
    assert await refused(service.UndeployModel(gone, metadata=metadata)) == "RESOURCE_NOT_FOUND"


async def test_every_fault_is_told_with_its_line(books: Books, gateway: RunningGateway) -> None:
    bad = example() | {"messages": [{"role": "robot", "content": "x"}, {"role": "assistant", "content": "y"}]}
    file_id = await tuning.upload(gateway, jsonl(example(), bad) + b"{\n")
    request = fine_tuning_pb2.ValidateDatasetRequest(file_id=file_id, model="sandbox/echo")
    report = (await gateway.fine_tuning.ValidateDataset(request, metadata=gateway.metadata())).report
    assert [(fault.line, fault.field) for fault in report.faults] == [(2, "messages[0].role"), (3, "")]
    assert (report.valid, report.example_count, report.epoch_count) == (False, 3, 25)
    assert report.trained_token_count == report.token_count * 25
    assert report.cost.nanos == report.trained_token_count * 3000
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await tuning.create(gateway, file_id)
    assert reason_of(caught.value) == "VALIDATION"
    assert "2 faults, the first in line 2" in (caught.value.details() or "")


async def test_who_asks_again_gets_the_same(books: Books, gateway: RunningGateway) -> None:
    file_id = await tuning.upload(gateway, EXAMPLES)
    made = [await tuning.create(gateway, file_id) for _ in range(2)]
    assert made[0].fine_tune_id == made[1].fine_tune_id
    assert await refused(tuning.create(gateway, file_id, suffix="other")) == "IDEMPOTENCY_KEY_REUSED"
    assert await refused(tuning.create(gateway, file_id, request_id="")) == "VALIDATION"
    await tuning.ended(gateway, made[0].fine_tune_id)
    assert len(await books.charges()) == 1


async def test_what_is_cancelled_or_fails_costs_nothing(books: Books, gateway: RunningGateway) -> None:
    file_id = await tuning.upload(gateway, EXAMPLES)
    endless = await tuning.create(gateway, file_id, request_id="a", suffix="endless")
    failing = await tuning.create(gateway, file_id, request_id="b", suffix="fail")
    assert (await tuning.cancel(gateway, endless.fine_tune_id)).cancel_requested
    cancelled = await tuning.ended(gateway, endless.fine_tune_id)
    failed = await tuning.ended(gateway, failing.fine_tune_id)
    assert (cancelled.state, failed.state, failed.error_code) == (CANCELLED, FAILED, "invalid_training_file")
    assert (cancelled.charge.nanos, failed.charge.nanos, await books.charges()) == (0, 0, [])
    assert await refused(tuning.cancel(gateway, endless.fine_tune_id)) == "JOB_FINAL"
    assert await refused(tuning.deploy(gateway, failing.fine_tune_id, "bot")) == "VALIDATION"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": "sandbox/nothing"}, "MODEL_NOT_FOUND"),
        ({"model": "groq/llama-3.3-70b-versatile"}, "CAPABILITY_UNSUPPORTED"),
        ({"model": "sandbox/count"}, "PRICE_UNKNOWN"),
        ({"hyperparameters": {"learning_rate": 0.1}}, "PARAMETER_UNSUPPORTED"),
        ({"validation_file_id": f"file_{'0' * 32}"}, "RESOURCE_NOT_FOUND"),
        ({"max_cost": {"unit": "CREDIT", "nanos": 1}}, "CREDIT_INSUFFICIENT"),
        ({}, "BUDGET_EXCEEDED"),
    ],
)
async def test_what_cannot_be_begun_is_refused(
    books: Books, start_gateway: StartGateway, fields: dict[str, Any], reason: str
) -> None:
    gateway = await start_gateway({"GROQ_API_KEY": "k"})
    budget = limits_pb2.Budget(
        name="small",
        selector=limits_pb2.LimitSelector(user_id="*"),
        period=limits_pb2.BUDGET_PERIOD_DAY,
        amount=usage_pb2.Amount(unit="CREDIT", nanos=1),
        hard=True,
    )
    await gateway.limits.SetBudget(limits_pb2.SetBudgetRequest(budget=budget), metadata=gateway.metadata())
    file_id = await tuning.upload(gateway, EXAMPLES)
    assert await refused(tuning.create(gateway, file_id, metadata=gateway.metadata("ada"), **fields)) == reason
    assert await books.database.fetchval("SELECT count(*) FROM job") == 0


async def test_guarded_tenants_send_no_examples(books: Books, start_gateway: StartGateway) -> None:
    gateway = await start_gateway(guard={"input_personal_data": "standard"})
    file_id = await tuning.upload(gateway, EXAMPLES)
    assert await refused(tuning.create(gateway, file_id)) == "CAPABILITY_UNSUPPORTED"


async def test_the_operator_says_what_is_not_known(books: Books, start_gateway: StartGateway) -> None:
    price = '[{"model": "sandbox/count", "training_price": "7", "input_price": "1", "output_price": "2"}]'
    gateway = await start_gateway(fine_tuning={"prices": price})
    file_id = await tuning.upload(gateway, EXAMPLES)
    made = await tuning.create(gateway, file_id, model="sandbox/count", hyperparameters={"epoch_count": 1})
    assert made.price_version.startswith("tuned/configured/")
    done = await tuning.ended(gateway, made.fine_tune_id)
    assert done.cost.nanos == WORDS * 7000
    await tuning.deploy(gateway, done.fine_tune_id, "bot")
    assert (await ask(gateway, "bot")).price_version.startswith("tuned/configured/")
