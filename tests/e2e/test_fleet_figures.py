"""`/metrics` of several processes at one address: whichever is asked tells of all."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from tests.e2e.test_fleet import ask, crew, serving, started
from tests.fixtures.served import Serve, Served
from tests.fixtures.until import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CALLS = 'trunkline_calls_total{method="/trunkline.v1.ChatService/Complete",code="OK"}'


async def figure(served: Served, name: str) -> int:
    """As one of them tells it, over a connection of its own."""
    address = json.loads((served.data_dir / "addresses.json").read_text())["http"]
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n".encode())
    text = (await asyncio.wait_for(reader.read(), 20)).decode()
    writer.close()
    await writer.wait_closed()
    return next((int(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} ")), 0)


async def all_tell(served: Served, name: str, value: int) -> None:
    """Every one of many connections hears this."""
    for _ in range(600):
        if {await figure(served, name) for _ in range(12)} == {value}:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is not {value} everywhere")


async def test_a_scrape_is_the_sum_and_does_not_fall_when_one_crashes(serve: Serve) -> None:
    served = await started(serve)
    await asyncio.gather(*(ask(served) for _ in range(24)))
    await all_tell(served, CALLS, 24)
    await all_tell(served, "trunkline_processes", 3)
    os.kill(min(crew(served)), signal.SIGKILL)
    await until(lambda: serving(served) == 4, 45)
    await all_tell(served, CALLS, 24)
    await all_tell(served, "trunkline_processes", 3)
    served.send(signal.SIGTERM)
    assert await served.gone() == 0
