"""Jobs, batches, conversations, prompts, credits and vectors with the Python client, over the socket."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.fixtures.gateway import RunningGateway
from trunkline import AsyncTrunkline, Cancelled, InvalidRequest, NotFound, TimedOut, Trunkline, Unavailable, user
from trunkline.v1 import conversations_pb2, embeddings_pb2

PATIENCE_S = 40


async def test_a_job_is_waited_for(trunkline: AsyncTrunkline) -> None:
    told: list[tuple[float, str]] = []
    job = await trunkline.model("sandbox/count").user("u1").submit("to 3", queue="night", labels={"page": "start"})

    await job.wait(timeout_s=PATIENCE_S, progress=lambda fraction, message: told.append((fraction, message)))

    assert (job.state, job.answer.text, job.job.queue) == ("SUCCEEDED", "1 2 3", "night")
    assert told[-1][0] == 1.0
    assert await trunkline.credits.balance("u1") == Decimal(100) - job.answer.charge


async def test_a_job_with_the_synchronous_client(gateway: RunningGateway, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> str:
        with Trunkline(gateway.house.grpc_address, key=gateway.key) as trunkline:
            return trunkline.jobs.submit("hello").wait(timeout_s=PATIENCE_S, progress=True).answer.text

    assert await asyncio.to_thread(work) == "hello"
    assert "100%" in capsys.readouterr().err


async def test_a_job_of_another_kind(trunkline: AsyncTrunkline) -> None:
    texts = embeddings_pb2.EmbedInput(model="sandbox/embed", texts=["one", "two"])

    job = await (await trunkline.jobs.submit(texts)).wait(timeout_s=PATIENCE_S)

    assert len(job.result.embed.embeddings) == 2
    assert (await trunkline.jobs.get(job.job_id)).state == "SUCCEEDED"
    assert [each.job_id async for each in trunkline.jobs.list()] == [job.job_id]


async def test_a_job_that_fails_says_why(trunkline: AsyncTrunkline) -> None:
    job = await trunkline.model("sandbox/down").submit("hello", attempts_max=1)

    await job.wait(timeout_s=PATIENCE_S)

    assert job.state == "FAILED"
    with pytest.raises(Unavailable, match="PROVIDERS_EXHAUSTED"):
        _ = job.result
    assert (await job.retry()).job.retry_of_job_id == job.job_id


async def test_a_job_is_cancelled_and_waiting_for_it_has_an_end(trunkline: AsyncTrunkline) -> None:
    endless = {"answer": "lorem", "endless": True, "pace_ms": 5}
    job = await trunkline.options("sandbox", script=endless).submit("go")

    with pytest.raises(TimedOut):
        await job.wait(timeout_s=0.2)
    await job.cancel()
    await job.wait(timeout_s=PATIENCE_S)

    with pytest.raises(Cancelled):
        _ = job.answer


async def test_a_batch_keeps_what_succeeds(trunkline: AsyncTrunkline) -> None:
    bad = trunkline.model("sandbox/refuse").options("sandbox", script={"status": 400}).input("three")
    shares: list[float] = []
    batch = await trunkline.batches.submit({"a": "one", "b": "two", "c": bad}, name="numbers")

    await batch.wait(timeout_s=PATIENCE_S, progress=lambda fraction, _: shares.append(fraction))
    items = [item async for item in batch.items()]

    assert (batch.state, shares[-1]) == ("COMPLETED", 1.0)
    assert [item.custom_id for item in items] == ["a", "b", "c"]
    assert [item.answer.text for item in items[:2]] == ["one", "two"]
    assert isinstance(items[2].error, InvalidRequest)
    with pytest.raises(InvalidRequest):
        _ = items[2].answer


async def test_a_conversation_remembers(trunkline: AsyncTrunkline) -> None:
    settings = conversations_pb2.ConversationSettings(max_messages=10)
    talk = await trunkline.conversations.create(user="u1", system="be brief", title="Numbers", settings=settings)

    first = await talk.send("one")
    second = talk.stream("two")
    await second.text()
    await talk.append(user("three"))
    said = [each.message.parts[0].text.text async for each in talk.history()]

    assert said == ["one", "one", "two", "two", "three"]
    assert first.charge < second.answer.charge
    assert (await talk.describe()).title == "Numbers"
    assert [each.conversation_id async for each in trunkline.conversations.list()] == [talk.conversation_id]


async def test_a_conversation_is_taken_up_forked_and_forgotten(trunkline: AsyncTrunkline) -> None:
    made = await trunkline.conversations.create(user="u1", model="sandbox/count")
    talk = trunkline.user("u1").conversation(made.conversation_id)

    assert (await talk.send("to 3")).text == "1 2 3"
    assert (await talk.model("sandbox/echo").send("hello")).text == "hello"
    fork = await talk.fork()
    assert await talk.clear() == 4
    await talk.rename("Empty")
    await talk.delete()

    assert (await fork.describe()).message_count == 4
    with pytest.raises(NotFound):
        await talk.send("to 3")
    await trunkline.conversations.erase_user("u1")
    with pytest.raises(NotFound):
        await fork.describe()


async def test_a_prompt_is_filled_in(trunkline: AsyncTrunkline) -> None:
    await trunkline.prompts.create("greet", "Say {word} to {name}", description="a greeting")
    await trunkline.prompts.add_version("greet", "Good day, {name}", make_default=True)

    assert (await trunkline.prompt("greet", version=1, word="hello", name="Ada").send()).text == "Say hello to Ada"
    assert (await trunkline.prompt("greet", name="Ada").send()).text == "Good day, Ada"
    assert (await trunkline.prompts.render("greet", {"name": "Bo"}))[0].parts[0].text.text == "Good day, Bo"
    assert [each.version async for each in trunkline.prompts.versions("greet")] == [2, 1]
    assert (await trunkline.prompts.set_default("greet", 1)).default_version == 1
    assert (await trunkline.prompts.get("greet")).version == 1
    assert [each.name async for each in trunkline.prompts.list()] == ["greet"]
    await trunkline.prompts.delete("greet")
    with pytest.raises(NotFound):
        await trunkline.prompt("greet", name="Ada").send()


async def test_credits_are_granted_once_and_are_exact(trunkline: AsyncTrunkline) -> None:
    for _ in range(2):
        account = await trunkline.credits.grant("u1", "0.000000001", reason="a gift", request_id="gift-1")

    assert await trunkline.credits.balance("u1") == Decimal("100.000000001")
    assert await trunkline.credits.available("u1") == Decimal("100.000000001")
    assert account.user_id == "u1"
    assert len([entry async for entry in trunkline.credits.history("u1")]) == 2


async def test_vectors_and_ranks(trunkline: AsyncTrunkline) -> None:
    vectors = await trunkline.embed(["one", "two"], model="sandbox/embed", dimensions=8, purpose="document", user="u1")
    ranked = await trunkline.rerank("red apple", ["green pear", "red apple pie"], model="sandbox/rerank", top=1)

    assert [len(vector) for vector in vectors] == [8, 8]
    assert (len(vectors), vectors.model) == (2, "sandbox/embed")
    assert vectors[0] != vectors[1] == vectors[-1]
    assert vectors.charge > 0
    assert [each.document for each in ranked] == ["red apple pie"]


async def test_the_models_that_there_are(trunkline: AsyncTrunkline) -> None:
    assert any(model.name == "sandbox/echo" for model in await trunkline.models())
