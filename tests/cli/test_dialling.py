"""Commands over TLS: whom they trust, and what they show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.conftest import Typed
from tests.fixtures.authority import Authority
from tests.fixtures.gateway import StartGateway

At = Callable[..., Awaitable[Result]]


@pytest.fixture
async def at(start_gateway: StartGateway, typed: Typed, tmp_path: Path) -> At:
    """Types `models list` to a gateway that wants a certificate of `ca.crt`; `ann.crt` and `ann.key` are one."""
    authority = Authority()
    certificate, key = authority.server().write(tmp_path, "server")
    authority.workload("spiffe://example.org/ann").write(tmp_path, "ann")
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    secured = {"certificate_file": str(certificate), "key_file": str(key), "client_ca_file": str(tmp_path / "ca.crt")}
    gateway = await start_gateway(tls={**secured, "client_auth": "required"})
    given = {"TRUNKLINE_API_KEY": gateway.key, "TRUNKLINE_CA": str(tmp_path / "ca.crt")}

    async def run(*arguments: str, scheme: str = "", **more: str) -> Result:
        where = {"TRUNKLINE_ADDRESS": scheme + gateway.house.grpc_address}
        return await asyncio.to_thread(typed, "models", "list", *arguments, given=given | where | more)

    return run


async def test_a_certificate_is_shown(at: At, tmp_path: Path) -> None:
    cert, key = str(tmp_path / "ann.crt"), str(tmp_path / "ann.key")
    for done in (
        await at("--cert", cert, "--cert-key", key),
        await at(scheme="https://", TRUNKLINE_CERT=cert, TRUNKLINE_CERT_KEY=key),
    ):
        assert done.exit_code == 0
        assert "sandbox/echo" in done.stdout


async def test_what_is_not_trusted_is_told(at: At, tmp_path: Path) -> None:
    (tmp_path / "other.crt").write_bytes(Authority("other").certificate)
    refused = await at("--ca", str(tmp_path / "other.crt"))
    assert (refused.exit_code, "TLS was not agreed on" in refused.stderr) == (1, True)


async def test_the_doctor_finds_it(start_gateway: StartGateway, typed: Typed, tmp_path: Path) -> None:
    certificate, key = Authority().server().write(tmp_path, "server")
    gateway = await start_gateway(tls={"certificate_file": str(certificate), "key_file": str(key)})
    given = {
        "TRUNKLINE_DATA_DIR": str(gateway.house.settings.data_path),
        "TRUNKLINE_TLS__CERTIFICATE_FILE": str(certificate),
        "TRUNKLINE_TLS__KEY_FILE": str(key),
    }
    told = await asyncio.to_thread(typed, "doctor", given=given)
    assert f"answers over TLS at {gateway.house.grpc_address}" in told.stdout


async def test_files_are_read_before_anything_is_sent(at: At, tmp_path: Path) -> None:
    half = await at("--cert", str(tmp_path / "ann.crt"))
    assert (half.exit_code, half.stderr) == (2, "trunkline: --cert and --cert-key: give both or none\n")
    missing = await at("--ca", "nowhere.crt")
    assert (missing.exit_code, missing.stderr.split(" cannot")[0]) == (2, "trunkline: --ca: nowhere.crt")
