"""A file of settings to begin with: a preset, and the secrets that it needs, made here."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from pathlib import Path
from typing import Final

from trunkline_server.cli.failure import Failure
from trunkline_server.core.preset import presets
from trunkline_server.core.sealing import KEY_BYTES

_HEAD: Final = """\
# `trunkline config check` shows the settings in effect, docs/configuration.md says what each means.
# The environment wins over this file: `[auth] pepper` is TRUNKLINE_AUTH__PEPPER there.
"""
_DATABASE: Final = 'database_url = "" # needed: "postgresql://user:password@host:5432/name"\n'


def begin(path: Path, preset: str) -> None:
    """Writes the file, for its owner's eyes alone. Raises Failure where there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failure(f"{path}: cannot be made ({os.strerror(error.errno or 0).lower()})") from None
    with os.fdopen(handle, "w") as file:
        file.write(_text(preset))


def _text(preset: str) -> str:
    needs = presets()[preset].needs
    pieces = [_HEAD, f'preset = "{preset}"\n']
    if "database_url" in needs:
        pieces.append(_DATABASE)
    if "auth.pepper" in needs:
        pieces.append(f'\n[auth]\npepper = "{secrets.token_urlsafe(KEY_BYTES)}"\n')
    if "secrets.kek" in needs:
        pieces.append(f'\n[secrets.kek]\n1 = "{b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"\n')
    return "".join(pieces)
