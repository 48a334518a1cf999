from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fixtures.gateway import RunningGateway, gateway, start_gateway
from tests.fixtures.postgres import database, empty_url, own_postgres, postgres_server, postgres_url
from trunkline_server.cli import main
from trunkline_server.providers.builtin import NAMES

__all__ = ["database", "empty_url", "gateway", "own_postgres", "postgres_server", "postgres_url", "start_gateway"]

OUTSIDE = ("TRUNKLINE_", *(name.upper() for name in NAMES))

Typed = Callable[..., Result]
Called = Callable[..., Awaitable[Result]]
CalledAt = Callable[[RunningGateway], Called]


@pytest.fixture(autouse=True)
def quiet_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty directory, and nothing of the world outside in the environment."""
    for name in list(os.environ):
        if name.startswith(OUTSIDE):
            monkeypatch.delenv(name)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def typed() -> Typed:
    """Types a command; everything that is wrong must be told, so an exception is a failure of the test."""

    def run(*arguments: str, given: Mapping[str, str] | None = None, stdin: str | bytes = "") -> Result:
        result = CliRunner().invoke(main, arguments, env=given, input=stdin, prog_name="trunkline")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def called_at(typed: Typed) -> CalledAt:
    """Types commands that speak to some gateway, with its admin key."""

    def at(gateway: RunningGateway) -> Called:
        given = {"TRUNKLINE_ADDRESS": gateway.house.grpc_address, "TRUNKLINE_API_KEY": gateway.key}

        async def run(*arguments: str, stdin: str | bytes = "") -> Result:
            return await asyncio.to_thread(typed, *arguments, given=given, stdin=stdin)

        return run

    return at


@pytest.fixture
def called(gateway: RunningGateway, called_at: CalledAt) -> Called:
    """Types a command that speaks to the gateway, with its admin key."""
    return called_at(gateway)
