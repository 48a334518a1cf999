"""Looks at what is reached over a socket: the gateway, or the address it would take, and the database."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc

from trunkline.v1 import admin_pb2, admin_pb2_grpc
from trunkline_server.cli.database import connecting_told
from trunkline_server.cli.failure import Failure
from trunkline_server.cli.finding import Finding
from trunkline_server.cli.place import local_address, local_key
from trunkline_server.cli.refusal import status_of
from trunkline_server.config import Settings
from trunkline_server.store import migrate
from trunkline_server.store.binaries import EmbeddedPostgresError
from trunkline_server.store.cluster import Cluster

ANSWER_TIMEOUT_S: Final = 3.0


def check_gateway(settings: Settings) -> Finding:
    """It answers, or its address is free for it."""
    address = local_address(settings)
    if settings.tls.certificate_file:
        answers = Finding.ok("gateway", f"answers over TLS at {address}")
        return answers if _speaks_tls(address) else _check_addresses(settings)
    try:
        return Finding.ok("gateway", f"{_ask(address, settings)} at {address}")
    except grpc.RpcError as error:
        if status_of(error) is None:
            return _check_addresses(settings)
    remedy = "set TRUNKLINE_DATA_DIR to its place; to start another one, set TRUNKLINE_GRPC__ADDRESS"
    return Finding.note("gateway", f"one answers at {address} that does not take the key of this place", remedy)


def check_database(settings: Settings) -> Finding:
    """It answers and has the schema of this version."""
    url = settings.database_url or _embedded_url(settings.data_path / "postgres")
    if not url:
        return Finding.ok("database", "embedded; starts with the gateway")
    try:
        with connecting_told():
            pending = asyncio.run(migrate.pending(url))
    except Failure as failure:
        fact, _, remedy = failure.message.removeprefix("database_url: ").partition("; ")
        return Finding.bad("database", fact, remedy)
    if pending:
        return Finding.note("database", f"{len(pending)} migrations pending", "`trunkline serve` applies them")
    return Finding.ok("database", "answers, and is up to date")


def _ask(address: str, settings: Settings) -> str:
    """What answers there, in words."""
    key = ""
    with suppress(Failure):
        key = local_key(settings)
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        method = admin_pb2_grpc.AdminServiceStub(channel).GetInfo
        info = method(admin_pb2.GetInfoRequest(), metadata=metadata, timeout=ANSWER_TIMEOUT_S)
    return f"{info.version} {'is draining' if info.draining else 'answers'}"


def _speaks_tls(address: str) -> bool:
    """Whether somebody does; nothing is sent there, so whose certificate it is does not matter."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    where = host.strip("[]"), int(port)
    with suppress(OSError), socket.create_connection(where, ANSWER_TIMEOUT_S) as plain, context.wrap_socket(plain):
        return True
    return False


def _check_addresses(settings: Settings) -> Finding:
    """Those that it would take."""
    for name, address in (("GRPC", settings.grpc.address), ("HTTP", settings.http.address)):
        if fault := _bind_fault(address):
            remedy = f"end the program that has it, or set TRUNKLINE_{name}__ADDRESS to another"
            return Finding.bad("gateway", f"{address} cannot be used: {fault}", remedy)
    return Finding.ok("gateway", f"not running; {settings.grpc.address} is free; `trunkline serve` starts it")


def _bind_fault(address: str) -> str:
    """Why nobody can listen there; empty where one can."""
    host, _, port = address.rpartition(":")
    try:
        family, kind, proto, _, where = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _embedded_url(home: Path) -> str:
    """Where the embedded database answers; empty while nobody runs it, though a killed one leaves its socket."""
    with suppress(EmbeddedPostgresError, OSError), socket.socket(socket.AF_UNIX) as probe:
        cluster = Cluster(home)
        probe.connect(str(cluster.sockets / ".s.PGSQL.5432"))
        return cluster.url()
    return ""
