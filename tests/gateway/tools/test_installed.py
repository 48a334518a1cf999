"""Tools of other distributions, and what calls around the loop have of it: conversations, jobs, kept answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, StartGateway, text_of
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.talks import Speaker
from tests.fixtures.tooling import ADD, complete, invoke, kinds, register, results, using
from trunkline.v1 import chat_pb2, content_pb2, jobs_pb2, tools_pb2
from trunkline_server.core.errors import TrunklineError
from trunkline_server.gateway.tools.installed import GROUP, NativeTool, installed, tool_of
from trunkline_server.gateway.tools.runner import Runner, ToolSettings
from trunkline_server.gateway.tools.tool import Ask


async def _add(arguments: Mapping[str, Any]) -> object:
    return {"sum": arguments["a"] + arguments["b"]}


async def _leak(_: Mapping[str, Any]) -> object:
    raise RuntimeError("hunter2")


add = NativeTool("add", "Adds.", ADD, _add)
leak = NativeTool("leak", "Leaks.", "", _leak, needs_approval=True)
no_tool = 7


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that brings two tools, and three entry points that are none."""
    info = tmp_path / "brought-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    lines = ["add = {0}:add", "leak = {0}:leak", "other = {0}:add", "seven = {0}:no_tool", "gone = {0}:nothing"]
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "\n".join(line.format(__name__) for line in lines))
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
async def gateway(distribution: None, start_gateway: StartGateway) -> RunningGateway:
    return await start_gateway()


def test_what_does_not_load_is_left_out(distribution: None) -> None:
    assert [tool.spec.name for tool in installed()] == ["add", "leak"]


def test_a_name_or_schema_that_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="a__b"):
        tool_of(NativeTool("a__b", "", "", _add))
    with pytest.raises(TrunklineError):
        tool_of(NativeTool("a", "", "[]", _add))


async def test_it_is_there_for_all_and_cannot_be_shadowed(gateway: RunningGateway) -> None:
    listed = await gateway.tools.ListTools(tools_pb2.ListToolsRequest(), metadata=gateway.metadata())
    assert [(tool.tool_id, tool.installed) for tool in listed.tools] == [("add", True), ("leak", True)]
    found = await gateway.tools.GetTool(tools_pb2.GetToolRequest(tool="add"), metadata=gateway.metadata())
    assert found.tool.spec.parameters_json_schema == ADD
    assert await refusal(register(gateway, "https://example.com/")) == Refusal("ALREADY_EXISTS", "RESOURCE_EXISTS")
    gone = tools_pb2.DeleteToolRequest(tool="add")
    heard = await refusal(gateway.tools.DeleteTool(gone, metadata=gateway.metadata()))
    assert heard == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_it_runs(books: Books, gateway: RunningGateway) -> None:
    assert json.loads((await invoke(gateway, "add", a=1, b=2)).result.structured_json) == {"sum": 3}
    assert await refusal(invoke(gateway, "add", a=1)) == invalid("arguments_json")
    answer = await complete(gateway, using("add"))
    assert kinds(answer) == ["tool_call", "tool_result", "text"]


async def test_what_no_text_can_have_is_left_out() -> None:
    async def odd(_: Mapping[str, Any]) -> object:
        return "a\ud800\0b"

    runner = Runner(ToolSettings(rounds_max=1, parallel_max=1, timeout_s=30.0, result_bytes_max=100))
    deadline = asyncio.get_running_loop().time() + 30
    ran = await runner.insist(tool_of(NativeTool("odd", "", "", odd)), Ask("call_1", ""), deadline)
    assert (ran.result.parts[0].text.text, ran.run.result_byte_count) == ("a?b", 4)


async def test_what_its_code_raises_is_kept_from_callers(gateway: RunningGateway) -> None:
    assert await refusal(invoke(gateway, "leak")) == Refusal("UNAVAILABLE", "TOOL_FAILED")


async def test_a_conversation_keeps_calls_and_results(gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    talk = await ada.begin()
    await ada.ask(talk, "add", "sandbox/tools", tools=[content_pb2.Tool(tool_id="add")])
    kept = (await ada.kept(talk))[-1].message
    assert [part.WhichOneof("kind") for part in kept.parts] == ["tool_call", "tool_result", "text"]
    assert text_of(await ada.ask(talk, "thanks", "sandbox/echo")) == "thanks"


async def test_a_job_runs_them_and_pays_for_every_round(books: Books, gateway: RunningGateway) -> None:
    metadata = gateway.metadata("ada")
    request = jobs_pb2.CreateJobRequest(spec=jobs_pb2.JobSpec(chat=using("add")))
    job = (await gateway.jobs.CreateJob(request, metadata=metadata)).job
    async with asyncio.timeout(30):
        watch = gateway.jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.job_id), metadata=metadata)
        async for _ in watch:
            pass
    done = (await gateway.jobs.GetJob(jobs_pb2.GetJobRequest(job_id=job.job_id), metadata=metadata)).job
    assert done.state == jobs_pb2.JOB_STATE_SUCCEEDED, done.error
    answer = done.result.completion
    assert kinds(answer) == ["tool_call", "tool_result", "text"]
    charges = [each.charge.nanos for each in answer.tool_rounds]
    assert sum(charges) == answer.charge.nanos == done.charge.nanos
    assert await books.charges() == charges


async def test_a_kept_answer_is_one_of_the_model_and_not_of_the_tool(gateway: RunningGateway) -> None:
    asked = using("add", cache=chat_pb2.CachePolicy())
    first, second = await complete(gateway, asked), await complete(gateway, asked)
    assert [each.charge.nanos for each in second.tool_rounds] == [0, 0]
    assert text_of(first) == text_of(second)
    assert second.tool_rounds[0].runs[0].state == chat_pb2.TOOL_RUN_STATE_SUCCEEDED
    assert len(results(second)) == 1
