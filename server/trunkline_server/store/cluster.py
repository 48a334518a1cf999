"""The embedded database on disk: its directory, the system user that owns it, and the commands that make and run it.

In the directory lie `data` (the cluster), `run` (its socket), `lock` (who is the parent) and `postgres.log`.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlencode

from trunkline_server.store.binaries import MAJOR, EmbeddedPostgresError, installed, within_reach

ROLE = "trunkline"
SOCKET_PATH_MAX = 107
LOG_BYTES_MAX = 1 << 20

_CHILD = Path(__file__).with_name("postgres_child.py")
_USERS = ("trunkline", "postgres", "nobody")  # whom root becomes: the first that exists
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "128MB",  # no memory until it is used
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",  # statements stay out of the log
}


def is_at(home: Path, url: str) -> bool:
    """Whether this address is that of the embedded database which lies there: a supervisor tells no more of it."""
    with suppress(EmbeddedPostgresError, OSError):
        return Cluster(home).url() == url
    return False


@dataclass(frozen=True)
class Owner:
    """Whom the server runs as."""

    uid: int
    gid: int


class Cluster:
    """Paths and commands. It starts nothing itself."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.data = self.home / "data"
        self.unfinished = self.home / "data.new"
        self.lock = self.home / "lock"
        self.log = self.home / "postgres.log"
        self.binaries = installed()
        self.owner = _owner(self.data)
        self.sockets = _socket_dir(self.home, self.owner)

    def url(self, user: str = ROLE, database: str = ROLE) -> str:
        """Where it answers."""
        return f"postgresql://{user}@/{database}?{urlencode({'host': str(self.sockets), 'port': 5432})}"

    def prepare(self) -> None:
        """Makes the directories around the data; harmless when they are there."""
        self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
        _private_dir(self.sockets, self.owner)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.unlink()

    def begin(self) -> None:
        """An empty directory for a new cluster; what an interrupted start left behind goes."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        _private_dir(self.unfinished, self.owner)

    def finish(self) -> None:
        """The new cluster is whole: from now on it is there."""
        self.unfinished.rename(self.data)

    def check(self) -> None:
        """Refuses a cluster of another PostgreSQL, and mends the one thing that keeps a good one from starting."""
        if (found := (self.data / "PG_VERSION").read_text().strip()) != str(MAJOR):
            raise EmbeddedPostgresError(
                f"{self.data} is of PostgreSQL {found}, this program brings {MAJOR}; dump and load it"
            )
        self._forget_reused_pid()

    def initialise(self) -> list[str]:
        """The command that fills `unfinished`."""
        options = "--username=postgres --auth=trust --encoding=UTF8 --locale-provider=builtin --builtin-locale=C.UTF-8"
        return self._child("initdb", "--no-instructions", f"--pgdata={self.unfinished}", *options.split())

    def bootstrap(self) -> list[str]:
        """The command that takes SQL on its standard input, with no server running."""
        return self._child("postgres", "--single", "-D", str(self.unfinished), "template1")

    def serve(self) -> list[str]:
        """The command of the server."""
        settings = {**_SETTINGS, "unix_socket_directories": str(self.sockets)}
        return self._child("postgres", "-D", str(self.data), *(f"--{name}={value}" for name, value in settings.items()))

    def _child(self, program: str, *arguments: str) -> list[str]:
        walk = "-" if _reachable(self.home, self.owner) else "walk"
        who = (str(os.getpid()), str(self.owner.uid), str(self.owner.gid), walk)
        return [sys.executable, "-I", "-S", str(_CHILD), *who, str(self._reachable_binaries / program), *arguments]

    @cached_property
    def _reachable_binaries(self) -> Path:
        return self.binaries if _reachable(self.binaries, self.owner) else within_reach(self.binaries)

    def _forget_reused_pid(self) -> None:
        """PostgreSQL will not start while the pid it noted lives, even when another program has it by now."""
        note = self.data / "postmaster.pid"
        try:
            process = Path("/proc") / note.read_text().split("\n", 1)[0]
            if process.is_dir() and (process / "cwd").resolve() != self.data:
                note.unlink()
        except OSError:
            return


def _owner(data: Path) -> Owner:
    if data.exists():
        found = Owner(data.stat().st_uid, data.stat().st_gid)
        if os.geteuid() not in (0, found.uid):
            raise EmbeddedPostgresError(f"{data} belongs to uid {found.uid}; start as that user, or as root")
        return found
    return Owner(os.geteuid(), os.getegid()) if os.geteuid() != 0 else _unprivileged()


def _unprivileged() -> Owner:
    known = {user.pw_name: Owner(user.pw_uid, user.pw_gid) for user in pwd.getpwall()}
    for name in _USERS:
        if name in known:
            return known[name]
    raise EmbeddedPostgresError("PostgreSQL does not run as root, and there is no user 'nobody'; start as another user")


def _socket_dir(home: Path, owner: Owner) -> Path:
    """In `home`; where that path is too long or odd for a socket, a short one that every process finds alike."""
    usual = home / "run"
    if len(os.fsencode(usual / ".s.PGSQL.5432")) <= SOCKET_PATH_MAX and re.fullmatch(r"[\w./-]+", str(usual), re.ASCII):
        return usual
    return Path(tempfile.gettempdir()) / f"trunkline-{owner.uid}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"


def _private_dir(path: Path, owner: Owner) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in (os.geteuid(), owner.uid) or facts.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{path} must be a directory of uid {owner.uid} that nobody else may enter; remove it"
        )
    if facts.st_uid != owner.uid:
        os.chown(path, owner.uid, owner.gid)


def _reachable(path: Path, owner: Owner) -> bool:
    return all(_may_enter(folder.stat(), owner) for folder in (path, *path.parents))


def _may_enter(facts: os.stat_result, owner: Owner) -> bool:
    if facts.st_uid == owner.uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    return bool(facts.st_mode & (stat.S_IXGRP if facts.st_gid == owner.gid else stat.S_IXOTH))
