"""Becomes the database server: gives root away, asks for SIGINT when the parent dies, turns into the given command.

A process of its own, because nothing of this is safe between fork and exec in a program that has threads.
Arguments: parent pid, uid, gid, `walk` or `-` (see `_keep_walking`), command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ = 23
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


def main(parent: str, uid: str, gid: str, walk: str, *command: str) -> None:
    """Does not return."""
    os.setsid()
    os.umask(0o077)
    if os.geteuid() != int(uid):
        _become(int(uid), int(gid), walk=walk == "walk")
    if sys.platform == "linux":
        _end_with(int(parent))
    os.execv(command[0], command)  # noqa: S606 - the path is ours, and no shell is wanted


def _become(uid: int, gid: int, *, walk: bool) -> None:
    if walk:
        _call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if walk:
        _keep_walking()


def _keep_walking() -> None:
    """Keeps one right of root: to pass through closed directories (a home in /root), where data lies."""
    capability = (
        CAP_DAC_READ_SEARCH if _libc().prctl(PR_CAPBSET_READ, CAP_DAC_READ_SEARCH, 0, 0, 0) == 1 else CAP_DAC_OVERRIDE
    )
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    _call("capset", header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0))
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def _end_with(parent: int) -> None:
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)  # after setuid, which would clear it
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: object) -> None:
    if getattr(_libc(), name)(*args) != 0:
        raise OSError(ctypes.get_errno(), f"{name} failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
