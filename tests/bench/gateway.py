"""The gateway as its users start it: `trunkline serve` with a database of its own; its providers are our upstream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import grpc
import msgspec
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.bench.load import FALLBACK_MODEL, MOVED_MODEL
from tests.bench.processes import Child, Cores, below, pin, started

START_S: Final = 20.0
POLL_S: Final = 0.005
SERVE: Final = (str(Path(sys.executable).with_name("trunkline")), "serve")


class _EndedError(Exception):
    """It ended before it served."""


@dataclass(frozen=True)
class Gateway:
    """One that serves, and how long it took until it did."""

    pid: int
    address: str
    key: str
    start_s: float

    def database_pids(self) -> list[int]:
        """Its PostgreSQL."""
        return below(self.pid)


@asynccontextmanager
async def serving(
    home: Path,
    upstream_url: str,
    cores: Cores,
    command: Sequence[str] = SERVE,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Gateway]:
    """A gateway over the database in `home`, which is made where it is missing. It runs alone on its core."""
    addresses = home / "data" / "addresses.json"
    addresses.unlink(missing_ok=True)
    began = time.monotonic()
    everywhere = cores.server | cores.rest
    settings = {**_environment(home, upstream_url), **environment}
    log = home / "gateway.log"
    async with started(*command, cores=everywhere, environment=settings, log=log) as child:
        try:
            async with asyncio.timeout(START_S):
                address = await _until_serving(child, addresses)
        except (TimeoutError, _EndedError):
            raise RuntimeError(f"the gateway did not start: {log.read_text()[-2000:]}") from None
        start_s = time.monotonic() - began
        gateway = Gateway(child.pid, address, (home / "data" / "admin.key").read_text("ascii").strip(), start_s)
        settle_down(gateway, cores)
        yield gateway


def settle_down(gateway: Gateway, cores: Cores) -> None:
    """The server alone on its core, its database with the rest."""
    pin(gateway.pid, cores.server)
    for pid in gateway.database_pids():
        with contextlib.suppress(FileNotFoundError):  # PostgreSQL's workers come and go
            pin(pid, cores.rest)


def _environment(home: Path, upstream_url: str) -> dict[str, str]:
    return {
        "TRUNKLINE_DATA_DIR": str(home / "data"),
        "TRUNKLINE_GRPC__ADDRESS": "127.0.0.1:0",
        "TRUNKLINE_GRPC__DRAIN_DELAY_S": "0",
        "TRUNKLINE_GRPC__DRAIN_GRACE_S": "2",
        "TRUNKLINE_HTTP__ADDRESS": "127.0.0.1:0",
        "TRUNKLINE_CREDITS__DEFAULT_GRANT": "1000000",
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": upstream_url,
        "MISTRAL_API_KEY": "sk-bench",
        "MISTRAL_BASE_URL": upstream_url,
        "TRUNKLINE_ROUTING__CHAINS": json.dumps({MOVED_MODEL: [FALLBACK_MODEL]}),
    }


async def _until_serving(child: Child, addresses: Path) -> str:
    while not (address := _told(addresses)):  # another process tells
        if child.gone:
            raise _EndedError
        await asyncio.sleep(POLL_S)
    async with grpc.aio.insecure_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        while (await check(health_pb2.HealthCheckRequest())).status != health_pb2.HealthCheckResponse.SERVING:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
    return address


def _told(addresses: Path) -> str:
    return str(msgspec.json.decode(addresses.read_bytes())["grpc"]) if addresses.exists() else ""
