"""Installs small distributions into a folder, as an installer would: a module, and its entry points."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path

from tests.docs.page import page
from trunkline_server.providers.installed import GROUP


@contextmanager
def on_the_path(site: Path) -> Iterator[Path]:
    """A new folder that Python finds distributions in; what it loaded from there is forgotten at the end."""
    site.mkdir()
    before = set(sys.modules)
    sys.path.insert(0, str(site))
    invalidate_caches()
    try:
        yield site
    finally:
        sys.path.remove(str(site))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site)):
                del sys.modules[name]


def install(site: Path, name: str, source: str, entries: Mapping[str, str], group: str = GROUP) -> None:
    """A module called `name`, in a distribution of that name; `site` must be on the path."""
    site.joinpath(f"{name}.py").write_text(source)
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = ConfigParser()
    points[group] = dict(entries)
    with about.joinpath("entry_points.txt").open("w") as file:
        points.write(file)


def install_documented(site: Path) -> None:
    """The example that `docs/providers.md` shows."""
    project = tomllib.loads(block("toml", GROUP))["project"]
    install(site, "acme_trunkline", block("python", "Provider("), project["entry-points"][GROUP])


def block(language: str, holding: str) -> str:
    """A block of code of the page."""
    blocks = [each.partition("```")[0] for each in page("providers.md").split(f"```{language}\n")[1:]]
    return next(each for each in blocks if holding in each)
