"""The pages for those who come from elsewhere name methods that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.page import ROOT
from trunkline_server.door.contract import Contract

PAGES = sorted(ROOT.joinpath("docs", "migrating").glob("*.md"), key=str)
METHODS = {method.name.rpartition(".")[2] for method in Contract().methods()}
_NAMED = re.compile(r"\b([A-Z]\w+Service)[/.]([A-Z]\w+)((?:`, `[A-Z]\w+)*)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_methods_that_are_named_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    named = {
        f"{found[1]}/{name}" for found in _NAMED.finditer(text) for name in [found[2], *found[3].split("`, `")[1:]]
    }

    assert named - METHODS == set()
