"""Links and paths in the pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.page import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text("utf-8")) if "://" not in link]

    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_readme_leads_to_every_page() -> None:
    links = set(_LINK.findall(ROOT.joinpath("README.md").read_text("utf-8")))

    assert {page.relative_to(ROOT).as_posix() for page in PAGES} - {"README.md"} <= links
