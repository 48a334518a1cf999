"""`make overload`: three times more calls than the gateway takes, for a minute, while a quiet tenant and probes go on.

The provider takes a fixed time for each answer, and the gateway so many calls at once: what it can do is known.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.bench.gateway import Gateway, serving
from tests.bench.processes import Cores, resident_mib
from trunkline.v1 import admin_pb2, admin_pb2_grpc, chat_pb2, chat_pb2_grpc, content_pb2

CALLS_MAX: Final = 60
ANSWER_MS: Final = 200
QUIET_S: Final = 0.1
PROBE_S: Final = 0.2
PEAK_S: Final = 8.0
TIMES: Final = 3
SETTINGS: Final = {
    "TRUNKLINE_OVERLOAD__CALLS_MAX": str(CALLS_MAX),
    "TRUNKLINE_OVERLOAD__CALLS_MIN": str(CALLS_MAX // 2),
    "TRUNKLINE_CREDITS__DEFAULT_GRANT": "1000000",
}


@dataclass
class Seen:
    """How long answers and refusals took, and what else went wrong."""

    answered_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def ask(self, call: Callable[[], Awaitable[object]]) -> None:
        began = time.monotonic()
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            if "more calls than it can serve" in (error.details() or ""):
                self.refused_s.append(time.monotonic() - began)
            else:
                self.faults.append(f"{error.code().name} {error.details()}")
        else:
            self.answered_s.append(time.monotonic() - began)


class Tenant:
    """One that asks."""

    def __init__(self, channel: grpc.aio.Channel, key: str) -> None:
        self._stub = chat_pb2_grpc.ChatServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {key}"),)
        text = content_pb2.Part(text=content_pb2.TextPart(text="Hello"))
        message = content_pb2.Message(role=content_pb2.ROLE_USER, parts=[text])
        input = chat_pb2.ChatInput(model="sandbox/echo", messages=[message])
        input.provider_options_json["sandbox"] = f'{{"script": {{"head_ms": {ANSWER_MS}}}}}'
        self._request = chat_pb2.CompleteRequest(input=input)

    async def ask(self) -> None:
        await self._stub.Complete(self._request, metadata=self._metadata, timeout=10)

    async def in_turn(self, seen: Seen, until: float) -> None:
        """One call after another."""
        while time.monotonic() < until:
            await seen.ask(self.ask)

    async def at_rate(self, seen: Seen, until: float, pause_s: float) -> None:
        """Calls that begin whether or not others have ended."""
        async with asyncio.TaskGroup() as tasks:
            due = time.monotonic()
            while (due := due + pause_s) < until:
                tasks.create_task(seen.ask(self.ask))
                await asyncio.sleep(max(due - time.monotonic(), 0))


async def probe(channel: grpc.aio.Channel, seen: Seen, until: float) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    while time.monotonic() < until:
        await seen.ask(lambda: stub.Check(health_pb2.HealthCheckRequest(), timeout=1))
        await asyncio.sleep(PROBE_S)


async def measure(gateway: Gateway, seconds: float) -> list[str]:
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        loud = Tenant(channel, gateway.key)
        quiet = Tenant(channel, await _other_key(channel, gateway.key))
        peak = Seen()
        until = time.monotonic() + PEAK_S
        await asyncio.gather(*(loud.in_turn(peak, until) for _ in range(CALLS_MAX)))
        peak_rate = len(peak.answered_s) / PEAK_S
        before_mib = resident_mib(gateway.pid)
        flood, aside, probes = Seen(), Seen(), Seen()
        until = time.monotonic() + seconds
        await asyncio.gather(
            loud.at_rate(flood, until, 1 / (TIMES * peak_rate)),
            quiet.at_rate(aside, until, QUIET_S),
            probe(channel, probes, until),
        )
        grown_mib = resident_mib(gateway.pid) - before_mib
    good_rate = (len(flood.answered_s) + len(aside.answered_s)) / seconds
    offered = len(flood.answered_s) + len(flood.refused_s) + len(flood.faults)
    return [
        f"peak {peak_rate:.0f} answers/s, offered {offered / seconds:.0f}/s for {seconds:.0f} s",
        f"goodput {good_rate:.0f}/s, {good_rate / peak_rate:.1%} of the peak",
        f"refused {len(flood.refused_s)}, p50 {_ms(flood.refused_s, 50)}, p99 {_ms(flood.refused_s, 99)}",
        f"answered p99 {_ms(flood.answered_s, 99)}, at the peak {_ms(peak.answered_s, 99)}",
        f"quiet tenant: {len(aside.answered_s)} answered, {len(aside.refused_s)} refused",
        f"quiet tenant's answers: p99 {_ms(aside.answered_s, 99)}",
        f"probes: {len(probes.answered_s)} answered, {len(probes.refused_s) + len(probes.faults)} failed",
        f"probes' answers, which is how late this machine is: p99 {_ms(probes.answered_s, 99)}",
        f"memory grew by {grown_mib:.0f} MiB",
        f"other faults: {flood.faults[:3] + aside.faults[:3]}",
    ]


async def _other_key(channel: grpc.aio.Channel, key: str) -> str:
    admin, metadata = admin_pb2_grpc.AdminServiceStub(channel), (("authorization", f"Bearer {key}"),)
    tenant = (await admin.CreateTenant(admin_pb2.CreateTenantRequest(name="quiet"), metadata=metadata)).tenant
    request = admin_pb2.CreateApiKeyRequest(name="quiet", scopes=["chat:write"], tenant_id=tenant.tenant_id)
    return (await admin.CreateApiKey(request, metadata=metadata)).secret


def _ms(times_s: list[float], percent: int) -> str:
    if len(times_s) < 2:
        return "-"
    return f"{statistics.quantiles(times_s, n=100)[percent - 1] * 1000:.0f} ms"


async def run(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="trunkline-overload-") as home:
        async with serving(Path(home), "http://127.0.0.1:9/v1", Cores.here(), environment=SETTINGS) as gateway:
            for line in await measure(gateway, seconds):
                print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    asyncio.run(run(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
