"""Reads the pages in `docs/`, and their tables."""

from __future__ import annotations

from pathlib import Path

from tools.site.tables import bare, codes, tables

__all__ = ["ROOT", "bare", "codes", "page", "tables"]

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    """The text of a page."""
    return ROOT.joinpath("docs", name).read_text("utf-8")
