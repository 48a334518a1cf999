"""Fine-tunes over the socket, at the sandbox: from a file to a model that answers and is paid for."""

from __future__ import annotations

from collections.abc import Awaitable

import grpc
import pytest

from tests.fixtures import tuning
from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, question, reason_of, text_of
from tests.fixtures.tuning import example, jsonl
from tests.fixtures.until import until
from trunkline.v1 import chat_pb2, fine_tuning_pb2, usage_pb2

EXAMPLES = jsonl(*(example(f"number {place}", "is a number") for place in range(4)))
WORDS = sum(len(line.split()) for line in EXAMPLES.splitlines())


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


async def test_a_model_is_trained_named_and_answers(books: Books, gateway: RunningGateway) -> None:
    file_id = await tuning.upload(gateway, EXAMPLES)
    made = await tuning.create(gateway, file_id, suffix="deeds", hyperparameters={"epoch_count": 2})
    assert (made.provider, made.base_model, made.hyperparameters.epoch_count) == ("sandbox", "echo", 2)
    assert made.held.nanos > 0
    done = await tuning.ended(gateway, made.fine_tune_id)
    assert done.state == fine_tuning_pb2.FINE_TUNE_STATE_SUCCEEDED
    assert done.provider_model.startswith("ft:echo:deeds:")
    assert done.trained_token_count == WORDS * 2 < done.estimated_token_count
    assert done.cost == usage_pb2.Amount(unit="USD", nanos=WORDS * 2 * 3000)
    assert [each.step for each in done.checkpoints] == [10, 20]
    said = [each.message for each in await tuning.events(gateway, made.fine_tune_id)]
    assert said[0] == "Validating training file"
    assert said[-1] == "The job has successfully completed"

    model = await tuning.deploy(gateway, made.fine_tune_id, "deeds-bot")
    assert (model.provider_model, model.price_version[:6]) == (done.provider_model, "tuned/")
    request = chat_pb2.CompleteRequest(input=question("Hello out there", "deeds-bot"))
    answered = (await gateway.chat.Complete(request, metadata=gateway.metadata())).completion
    assert text_of(answered) == "Hello out there"
    assert answered.cost.nanos == 3 * 1500 + 3 * 3000
    assert answered.price_version == model.price_version
    await until(lambda: _settled(books, 2))
    assert sorted(await books.charges()) == sorted([done.charge.nanos, answered.charge.nanos])


async def _settled(books: Books, count: int) -> bool:
    return len(await books.charges()) == count
