from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cli.conftest import Typed
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.migrate import bundled

NAMES = "".join(f"{migration.name}\n" for migration in bundled())


async def test_an_empty_database_is_brought_up_to_date(empty_url: str, typed: Typed) -> None:
    async def run(*options: str) -> tuple[int, str, str]:
        result = await asyncio.to_thread(typed, "migrate", *options, given={"TRUNKLINE_DATABASE_URL": empty_url})
        return result.exit_code, result.stdout, result.stderr

    assert await run("--check") == (1, NAMES, "")
    assert await run() == (0, NAMES, "")
    assert await run() == (0, "", "nothing is pending\n")
    assert await run("--check") == (0, "", "nothing is pending\n")


def test_a_check_makes_nothing(typed: Typed, quiet_place: Path) -> None:
    result = typed("migrate", "--check")
    assert (result.exit_code, result.stdout) == (1, NAMES)
    assert list(quiet_place.iterdir()) == []


LOOKING = ("credits audit", "prices reprice --from 2026-01-01", "schedules list", "secrets rotate-kek")


@pytest.mark.parametrize("command", LOOKING)
def test_whoever_looks_into_a_database_makes_none(typed: Typed, quiet_place: Path, command: str) -> None:
    result = typed(*command.split())
    told = f"trunkline: there is no database in {quiet_place}/.trunkline; set TRUNKLINE_DATA_DIR to where the gateway "
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"{told}has it\n")
    assert list(quiet_place.iterdir()) == []


async def test_an_empty_database_has_nothing_to_look_at(empty_url: str, typed: Typed) -> None:
    given = {"TRUNKLINE_DATABASE_URL": empty_url}
    for command in LOOKING:
        result = await asyncio.to_thread(typed, *command.split(), given=given)
        told = "trunkline: the database lacks tables of this version; run `trunkline migrate`\n"
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", told)


def test_the_embedded_database(typed: Typed, quiet_place: Path) -> None:
    assert typed("migrate").stdout == NAMES
    assert typed("migrate", "--check").exit_code == 0
    assert not (quiet_place / ".trunkline/postgres/data/postmaster.pid").exists()


def test_a_database_that_does_not_answer(typed: Typed) -> None:
    for command in ("migrate", "serve"):
        result = typed(command, given={"TRUNKLINE_DATABASE_URL": "postgresql://joe:secret@127.0.0.1:1/d"})
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1] == (
            "trunkline: database_url: no database answers there; start it, or correct the address"
        )
        assert "secret" not in result.output


@pytest.mark.parametrize("where", ["h:port/d", "127.0.0.1:99999/d", "127.0.0.1:1/d?sslmode=odd"])
def test_an_address_that_is_none(typed: Typed, where: str) -> None:
    for command in ("migrate", "doctor"):
        result = typed(command, given={"TRUNKLINE_DATABASE_URL": f"postgresql://joe:secret@{where}"})
        assert result.exit_code == 1
        assert "secret" not in result.output
        assert "database" in (result.stderr or result.stdout)


async def test_a_database_that_refuses(postgres_server: EmbeddedPostgres, typed: Typed) -> None:
    given = {"TRUNKLINE_DATABASE_URL": postgres_server.cluster.url(database="not_there")}
    result = await asyncio.to_thread(typed, "migrate", given=given)
    assert result.exit_code == 1
    assert result.stderr.startswith("trunkline: database_url: the database refuses (InvalidCatalogNameError); check")


def test_a_place_that_cannot_be_made(typed: Typed, quiet_place: Path) -> None:
    (quiet_place / "file").write_text("")
    result = typed("migrate", given={"TRUNKLINE_DATA_DIR": str(quiet_place / "file/under")})
    assert result.exit_code == 1
    assert result.stderr.startswith("trunkline: data_dir: ")
