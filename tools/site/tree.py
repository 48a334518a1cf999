"""Which files of the tree are pages of the site, where they stand there, and where a link from one of them leads."""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOME: Final = "README.md"
CONTRACT: Final = "proto/trunkline/v1"
CONTRACT_PLACE: Final = "reference/services.html"


@dataclass(frozen=True)
class Part:
    """A part of the site's contents, with its pages by their paths in the tree."""

    title: str
    pages: Sequence[str]


class Tree:
    """`shown` gathers files that pages lead to and that are no pages: they are shown as they are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        read = tomllib.loads(root.joinpath("docs", "site.toml").read_text("utf-8"))
        named = [Part(each["title"], each["pages"]) for each in read["part"]]
        self.parts = [*named, *self._others(named)]
        self.shown: set[str] = set()

    def _others(self, named: Sequence[Part]) -> Iterator[Part]:
        """A part for the pages that no part names."""
        known = {HOME, *(page for part in named for page in part.pages)}
        found = [*self.root.glob("*.md"), *self.root.joinpath("docs").rglob("*.md")]
        others = {path.relative_to(self.root).as_posix() for path in found} - known
        if others:
            yield Part("More", sorted(others))

    @property
    def pages(self) -> Iterator[str]:
        yield HOME
        for part in self.parts:
            yield from part.pages
        yield from sorted(path.relative_to(self.root).as_posix() for path in self.root.glob("clients/*/README.md"))

    def target(self, source: str, link: str) -> str:
        """Where a link in a file leads: a place of the site, or the address itself where that is out of it."""
        path, hash_, anchor = link.partition("#")
        if ":" in path:
            return link
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) if path else source
        return self._place(file) + hash_ + anchor

    def _place(self, file: str) -> str:
        if file == CONTRACT:
            return CONTRACT_PLACE
        if file.endswith(".md"):
            return place(file)
        self.shown.add(file)
        return shown_place(file)


def place(page: str) -> str:
    """Where a page of the tree stands in the site."""
    return "index.html" if page == HOME else page.removesuffix(".md") + ".html"


def shown_place(file: str) -> str:
    return f"source/{file}.html"
