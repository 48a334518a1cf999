"""Jobs that lean on what the gateway keeps: they speak in conversations as calls do, in their order, and once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fixtures.books import Books
from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway, question, text_of, user
from tests.fixtures.jobs import create, ended, watched
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.talks import Speaker, another_tenant, settings
from tests.fixtures.until import until
from tests.fixtures.upstream import Answer, Upstream
from trunkline.v1 import assistants_pb2, chat_pb2, conversations_pb2, jobs_pb2, prompts_pb2, retrieval_pb2
from trunkline_server.core import ids
from trunkline_server.store.conversation_messages import Saying
from trunkline_server.store.job import JobChange
from trunkline_server.store.jobs import NOBODY, Caps

OPENAI = DIALECTS[0]
SUCCEEDED, FAILED = jobs_pb2.JOB_STATE_SUCCEEDED, jobs_pb2.JOB_STATE_FAILED
UNKNOWN = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


def said_in(talk: str, text: str, **fields: Any) -> jobs_pb2.JobSpec:
    script = fields.pop("script", None)
    input = question(text, fields.pop("model", ""), conversation_id=talk, **fields)
    if script:
        input.provider_options_json["sandbox"] = json.dumps({"script": script})
    return jobs_pb2.JobSpec(chat=input)


async def done(gateway: RunningGateway, spec: jobs_pb2.JobSpec, **fields: Any) -> jobs_pb2.Job:
    job = await ended(gateway, (await create(gateway, spec, **fields)).job_id)
    assert job.state == SUCCEEDED, job.error
    return job


async def test_a_job_speaks_in_a_conversation_as_a_call_does(
    books: Books, start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway = await start_gateway(OPENAI.environment(upstream.url))
    ada = Speaker(gateway, "ada")
    talk = await ada.begin(settings=settings(default_model=OPENAI.name))
    for answer in ("one", "two"):
        upstream.reply(json=OPENAI.whole(answer, 1))
    await ada.ask(talk, "first")
    job = await done(gateway, said_in(talk, "second"))
    told = [each["content"] for each in upstream.requests[-1].json()["messages"]]
    assert told == ["first", "one", "second"]
    assert await ada.said(talk) == ["first", "one", "second", "two"]
    completion, kept = job.result.completion, (await ada.kept(talk))[-1]
    assert (completion.conversation_id, kept.completion_id) == (talk, completion.completion_id)
    assert kept.charge == completion.charge == job.charge
    assert await books.charges() == [(await ada.kept(talk))[1].charge.nanos, job.charge.nanos]


async def test_a_job_that_is_watched_speaks_too(gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    talk = await ada.begin()
    made = await create(gateway, said_in(talk, "hello"), stream=True)
    heard = await watched(gateway, made.job_id, include_chat_events=True)
    events = [told.chat_event.event for told in heard if told.HasField("chat_event")]
    assert [event.started.conversation_id for event in events if event.HasField("started")] == [talk]
    assert await ada.said(talk) == ["hello", "hello"]


async def test_assistants_and_prompts_work_in_jobs(gateway: RunningGateway) -> None:
    persona = assistants_pb2.Persona(name="pal", model="sandbox/echo")
    request = assistants_pb2.CreateAssistantRequest(persona=persona)
    await gateway.assistants.CreateAssistant(request, metadata=gateway.metadata())
    greeting = prompts_pb2.CreatePromptRequest(name="greet", messages=[user("hello {name}")])
    await gateway.prompts.CreatePrompt(greeting, metadata=gateway.metadata())
    prompt = chat_pb2.PromptRef(prompt="greet", variables={"name": "tom"})
    job = await done(gateway, jobs_pb2.JobSpec(chat=chat_pb2.ChatInput(assistant_id="pal", prompt=prompt)))
    completion = job.result.completion
    assert (text_of(completion), completion.prompt.name, completion.model) == ("hello tom", "greet", "echo")


async def test_jobs_of_one_conversation_speak_in_the_order_in_which_they_were_made(gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    talk = await ada.begin()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await create(gateway, said_in(talk, "later"), schedule_time=tomorrow)
    slow = said_in(talk, "a", script={"text": "a", "first_token_ms": 200})
    made = [await create(gateway, spec) for spec in (slow, said_in(talk, "b"), said_in(talk, "c"))]
    for each in reversed(made):
        assert (await ended(gateway, each.job_id)).state == SUCCEEDED
    assert await ada.said(talk) == ["a", "a", "b", "b", "c", "c"]


async def test_a_job_that_fails_has_not_spoken_and_lets_the_next_one_speak(gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    talk = await ada.begin()
    broken = said_in(talk, "a", script={"text": "one two three", "error_in_stream": 2})
    made = await create(gateway, broken, stream=True, max_attempts=1)
    after = await create(gateway, said_in(talk, "b"))
    assert (await ended(gateway, made.job_id)).state == FAILED
    assert (await ended(gateway, after.job_id)).state == SUCCEEDED
    assert await ada.said(talk) == ["b", "b"]


async def test_a_job_that_is_rescued_speaks_once(books: Books, start_gateway: StartGateway, upstream: Upstream) -> None:
    hold = asyncio.Event()
    environment = OPENAI.environment(upstream.url)
    first = await start_gateway(environment, jobs={"worker": "false"})
    second = await start_gateway(environment, jobs={"worker": "false"})
    ada = Speaker(second, "ada")
    talk = await ada.begin(settings=settings(default_model=OPENAI.name))
    upstream.script(Answer([hold, *upstream.whole(json=OPENAI.whole("late", 1)).steps]))
    upstream.reply(json=OPENAI.whole("found", 1))
    made = await create(second, said_in(talk, "who"))
    lost = await first.house.background.begin_work()
    await until(lambda: len(upstream.requests) == 1)
    lost.task.cancel()
    await books.database.execute("UPDATE job SET leased_until = clock_timestamp() - interval '1 s'")
    finder = await second.house.background.begin_work()
    job = await ended(second, made.job_id)
    hold.set()
    await lost.end()
    await finder.end()
    assert (job.state, job.rescue_count) == (SUCCEEDED, 1), job.error
    assert await ada.said(talk) == ["who", "found"]
    assert await books.charges() == [job.charge.nanos]


async def test_what_a_worker_says_without_its_lease_is_not_kept(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(jobs={"worker": "false"})
    ada = Speaker(gateway, "ada")
    talk = await ada.begin()
    await create(gateway, said_in(talk, "a"))
    jobs = gateway.house.background.jobs
    [job] = await jobs.claim("default", NOBODY, 1, 30, Caps())
    conversation_id = ids.parse("conv", talk)
    assert conversation_id is not None
    saying = Saying(conversation_id, [conversations_pb2.ConversationMessage(message=user("a"))])
    for token, spoken in ((job.lease_token - 1, 0), (job.lease_token, 1), (job.lease_token, 1)):
        await jobs.end(JobChange(id=job.id, lease_token=token, target="succeeded"), saying)
        assert len(await ada.kept(talk)) == spoken


async def test_what_a_job_leans_on_must_be_there(gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    talk, foreign = await ada.begin(), await another_tenant(gateway)
    assert await refusal(create(gateway, said_in("conv_" + "1" * 32, "a"))) == UNKNOWN
    request = jobs_pb2.CreateJobRequest(spec=said_in(talk, "a"))
    assert await refusal(gateway.jobs.CreateJob(request, metadata=foreign)) == UNKNOWN
    reading = retrieval_pb2.Retrieval(collection="town")
    assert await refusal(create(gateway, said_in(talk, "a", retrieval=reading))) == invalid("input.retrieval")
