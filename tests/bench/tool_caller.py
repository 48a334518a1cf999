"""A caller, in a process of its own, whose model uses a tool: so many rounds in each call, so many calls at once."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import uvloop

from tests.bench.child import orders, say
from tests.bench.load import question
from tests.bench.upstream import TOOL
from tests.fixtures.tooling import ADD
from trunkline.v1 import chat_pb2, chat_pb2_grpc, tools_pb2, tools_pb2_grpc


class Caller:
    """Has one tool."""

    def __init__(self, channel: grpc.aio.Channel, key: str) -> None:
        self._metadata = (("authorization", f"Bearer {key}"),)
        self._chat: Any = chat_pb2_grpc.ChatServiceStub(channel)
        self._tools: Any = tools_pb2_grpc.ToolServiceStub(channel)

    async def register(self, port: str) -> None:
        http = tools_pb2.HttpTool(uri=f"http://127.0.0.1:{port}/add")
        spec = tools_pb2.ToolSpec(name=TOOL, parameters_json_schema=ADD, http=http)
        await self._tools.CreateTool(tools_pb2.CreateToolRequest(spec=spec), metadata=self._metadata)

    async def calls(self, count: int, at_once: int, rounds: int) -> int:
        """How many of them had another number of rounds, or a tool that failed."""
        request = chat_pb2.CompleteRequest(input=question("whole"))
        request.input.tools.add(tool_id=TOOL)
        request.input.max_tool_rounds = rounds

        async def in_turn() -> int:
            return sum([not _is_good(await self._answer(request), rounds) for _ in range(count // at_once)])

        return sum(await asyncio.gather(*(in_turn() for _ in range(at_once))))

    async def _answer(self, request: chat_pb2.CompleteRequest) -> chat_pb2.Completion:
        answered: chat_pb2.CompleteResponse = await self._chat.Complete(request, metadata=self._metadata)
        return answered.completion


def _is_good(completion: chat_pb2.Completion, rounds: int) -> bool:
    runs = [run.state for each in completion.tool_rounds for run in each.runs]
    return runs == [chat_pb2.TOOL_RUN_STATE_SUCCEEDED] * rounds


async def main() -> None:
    address, key, port = sys.argv[1:4]
    async with grpc.aio.insecure_channel(address) as channel:
        caller = Caller(channel, key)
        await caller.register(port)
        say({})
        async for order in orders():
            count, at_once, rounds = order["calls"], order["at_once"], order["rounds"]
            say({"count": count, "failed": await caller.calls(count, at_once, rounds)})


if __name__ == "__main__":
    uvloop.run(main())
