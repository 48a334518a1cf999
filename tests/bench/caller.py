"""The floor for asking a provider: our HTTP client alone, which posts what the gateway would and reads the answer."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from tests.bench.child import orders, say
from tests.bench.load import question
from trunkline.v1 import chat_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.providers.client import HttpTransport
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_chat import OpenAIChat


def _request() -> HttpRequest:
    input: chat_pb2.ChatInput = question("whole")
    return OpenAIChat().encode_chat(Ask(provider="openai", model="gpt-4o-mini", input=input, stream=False))


async def ask_for(transport: HttpTransport, seconds: float, at_once: int) -> int:
    """Asks until the time is over; how many answers came."""
    loop = asyncio.get_running_loop()
    request, until = _request(), loop.time() + seconds

    async def ask() -> int:
        count = 0
        while loop.time() < until:
            async with transport.open(request) as response:
                await response.read(1 << 20)
            count += 1
        return count

    return sum(await asyncio.gather(*(ask() for _ in range(at_once))))


async def main() -> None:
    transport = HttpTransport(sys.argv[1], {"authorization": "Bearer bench"})
    say({})
    async for order in orders():
        say({"count": await ask_for(transport, order["seconds"], order["at_once"]), "failed": 0})
    await transport.close()


if __name__ == "__main__":
    uvloop.run(main())
