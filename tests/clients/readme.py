"""A README as a reader follows it: files that it names are written, then its shell commands are run."""

from __future__ import annotations

import re
from pathlib import Path

_FILE = re.compile(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Readme:
    """The part below `## Quickstart`."""

    def __init__(self, path: Path) -> None:
        self._text = path.read_text("utf-8").split("## Quickstart\n")[1].split("\n## ")[0]

    @property
    def commands(self) -> list[str]:
        return _SHELL.findall(self._text)

    def lay_out(self, folder: Path) -> None:
        files = _FILE.findall(self._text)
        assert files, "a quickstart names its files"
        for name, text in files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
