"""`python -m tests.bench.tool_rounds`: what a round of tools adds to a call, in processor time of the event loop.

A call with eight rounds of a tool behind an address, against one with none; model and tool answer at once. It fails
where a round adds more than 2 ms.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop

from tests.bench.processes import Cores, part
from tests.fixtures.tooling import ADD, scripted
from trunkline.v1 import chat_pb2, chat_pb2_grpc, tools_pb2, tools_pb2_grpc
from trunkline_server import config
from trunkline_server.app import opened
from trunkline_server.store.embedded import EmbeddedPostgres

ROUNDS: Final = 8
CALLS: Final = 60
BLOCKS: Final = 5
OWN_MS_MAX: Final = 2.0
CALL: Final = ("add", {"a": 1, "b": 2})


class Caller:
    """Asks, one call after the other."""

    def __init__(self, channel: grpc.aio.Channel, key: str) -> None:
        self._metadata = (("authorization", f"Bearer {key}"),)
        self._chat: Any = chat_pb2_grpc.ChatServiceStub(channel)
        self._tools: Any = tools_pb2_grpc.ToolServiceStub(channel)

    async def register(self, port: int) -> None:
        http = tools_pb2.HttpTool(uri=f"http://127.0.0.1:{port}/add")
        spec = tools_pb2.ToolSpec(name="add", parameters_json_schema=ADD, http=http)
        await self._tools.CreateTool(tools_pb2.CreateToolRequest(spec=spec), metadata=self._metadata)

    async def block(self, rounds: int) -> float:
        """Milliseconds of the event loop's thread for each call, with the caller's own part of them."""
        request = chat_pb2.CompleteRequest(input=scripted(CALL, max_tool_rounds=rounds))
        began = time.thread_time()
        for _ in range(CALLS):
            completion = (await self._chat.Complete(request, metadata=self._metadata)).completion
            if completion.tool_round_count != rounds:
                raise RuntimeError(f"{completion.tool_round_count} rounds instead of {rounds}")
        return (time.thread_time() - began) * 1000 / CALLS


async def run(folder: Path, *, profile: bool) -> bool:
    server = await EmbeddedPostgres.start(folder / "postgres")
    try:
        async with part("tool_server", cores=Cores.here().rest) as (_, heard):
            hosts = json.dumps([f"127.0.0.1:{heard['port']}"])
            environ = {
                "TRUNKLINE_DATA_DIR": str(folder),
                "TRUNKLINE_DATABASE_URL": server.url,
                "TRUNKLINE_GRPC__ADDRESS": "127.0.0.1:0",
                "TRUNKLINE_HTTP__ADDRESS": "127.0.0.1:0",
                "TRUNKLINE_EGRESS__ALLOW_HTTP_HOSTS": hosts,
                "TRUNKLINE_EGRESS__ALLOW_PRIVATE_HOSTS": hosts,
                "TRUNKLINE_DATABASE__COMMAND_TIMEOUT_S": "10",
            }
            async with opened(config.load(environ)) as house, grpc.aio.insecure_channel(house.grpc_address) as channel:
                caller = Caller(channel, house.admin_key or "")
                await caller.register(heard["port"])
                return await _measured(caller, profile=profile)
    finally:
        await server.stop()


async def _measured(caller: Caller, *, profile: bool) -> bool:
    await caller.block(ROUNDS)
    if profile:
        with cProfile.Profile() as profiler:
            await caller.block(ROUNDS)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    blocks = [(await caller.block(0), await caller.block(ROUNDS)) for _ in range(BLOCKS)]
    without, with_rounds = (statistics.median(each) for each in zip(*blocks, strict=True))
    added: float = (with_rounds - without) / ROUNDS
    print(f"a call {without:.2f} ms, with {ROUNDS} rounds {with_rounds:.2f} ms")
    print(f"a round {added:.2f} ms (at most {OWN_MS_MAX})")
    return added <= OWN_MS_MAX


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tool_rounds", description=__doc__)
    parser.add_argument("--profile", action="store_true", help="also where the time goes")
    profile: bool = parser.parse_args().profile
    with tempfile.TemporaryDirectory() as folder:
        return 0 if uvloop.run(run(Path(folder), profile=profile)) else 1


if __name__ == "__main__":
    sys.exit(main())
