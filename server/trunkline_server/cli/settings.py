"""The settings as commands get them: wrong ones end the command with a line that names the key."""

from __future__ import annotations

from trunkline_server import config
from trunkline_server.cli.failure import Misuse


def load() -> config.Settings:
    """The settings of this place."""
    try:
        return config.load()
    except config.ConfigError as error:
        raise Misuse(str(error)) from None
