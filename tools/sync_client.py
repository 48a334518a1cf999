"""Writes the synchronous Python client from the asynchronous one: the same words, without the waiting.

Tokens are exchanged, not text, so words in comments and docstrings stay as they are. Only what waits stands in
`trunkline/aio`; all that is decided is shared by both.
"""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DROPPED: Final = frozenset({"async", "await"})
_RENAMED: Final = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "asyncio": "time",
    "run_async": "run",
}
_AFTER: Final = {"grpc": "", "trunkline": ".sync"}
_ASYNC_NAME: Final = re.compile(r"""^(["']?)Async(?=[A-Z]\w*\1$)""")
_ABOUT: Final = '"""The synchronous client, made from `trunkline.aio` by `make gen`. Do not edit."""\n'


def write(source: Path, target: Path, ruff: Path, settings: Path) -> None:
    """Makes every module of `source` anew in `target`."""
    target.mkdir(parents=True)
    for module in sorted(source.glob("*.py")):
        text = _ABOUT if module.name == "__init__.py" else synchronous(module.read_text("utf-8"))
        target.joinpath(module.name).write_text(text, "utf-8")
    for step in (["check", "--quiet", "--fix-only", "--select", "I"], ["format", "--quiet"]):
        subprocess.run([str(ruff), *step, "--config", str(settings), str(target)], check=True)


def synchronous(source: str) -> str:
    """The same module without waiting."""
    lines = source.splitlines(keepends=True)
    for edit in reversed(list(_edits(source))):
        line = lines[edit.row]
        lines[edit.row] = line[: edit.start] + edit.text + line[edit.end :]
    return "".join(lines)


@dataclass(frozen=True)
class _Edit:
    """What comes in place of a piece of a line."""

    row: int
    start: int
    end: int
    text: str


def _edits(source: str) -> Iterator[_Edit]:
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, start, end = token.start[0] - 1, token.start[1], token.end[1]
        text = _exchanged(token.string, before) if token.type in (tokenize.NAME, tokenize.STRING) else None
        if text is not None:
            yield _Edit(row, start - len(".aio") + len("aio") if token.string == "aio" else start, end, text)
        if token.string in _DROPPED:
            yield _Edit(row, start, end + len(" "), "")
        before = before if token.string == "." else token.string


def _exchanged(word: str, before: str) -> str | None:
    """What stands for a word; `None` where it stays. `aio` goes with the dot before it."""
    if word == "aio":
        return _AFTER[before]
    renamed = _RENAMED.get(word, _ASYNC_NAME.sub(r"\1", word))
    return None if renamed == word else renamed
