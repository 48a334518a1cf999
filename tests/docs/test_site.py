"""The site has a page for everything that there is, leads nowhere in vain, and asks nobody else for anything."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.page import ROOT, bare, page, tables
from tests.fixtures.browser import Browser, browser
from tools.site.site import Site
from trunkline_server.core.errors import Reason
from trunkline_server.door.contract import Contract
from trunkline_server.providers import builtin
from trunkline_server.providers.sandbox import SANDBOX

__all__ = ["browser"]

pytestmark = pytest.mark.timeout(180)

SETTINGS = [bare(row[0]) for row in tables(page("configuration.md"), "key")]


class Read(HTMLParser):
    """Where a page leads, what it loads, and what can be led to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value or "")
            elif name in ("href", "src"):
                (self.links if tag == "a" else self.loaded).append(value or "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    Site(ROOT, made).build()
    return made


@pytest.fixture(scope="module")
def site(folder: Path) -> Mapping[str, Read]:
    return {path.relative_to(folder).as_posix(): Read(path.read_text("utf-8")) for path in folder.rglob("*.html")}


def test_every_method_has_its_place(site: Mapping[str, Read]) -> None:
    for method in Contract().methods():
        service, name = method.name.rpartition(".")[2].split("/")
        assert name in site[f"reference/services/{service}.html"].anchors


def test_every_error_setting_and_provider_has_its_page(site: Mapping[str, Read]) -> None:
    expected = [
        *(f"errors/{reason.value}" for reason in Reason),
        *(f"settings/{key}" for key in SETTINGS),
        *(f"providers/{name}" for name in (*builtin.NAMES, SANDBOX.name)),
    ]
    assert {f"reference/{name}.html" for name in expected} <= site.keys()


def test_every_page_of_the_tree_is_in_the_contents(site: Mapping[str, Read]) -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md")]
    places = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in pages}
    assert places - {"README.html"} <= set(site["index.html"].links)


def test_no_link_leads_nowhere(site: Mapping[str, Read]) -> None:
    dead = [(at, link) for at, read in site.items() for link in read.links if not is_there(site, at, link)]
    assert not dead


def test_nothing_is_loaded_from_elsewhere(site: Mapping[str, Read]) -> None:
    assert {Path(each).name for read in site.values() for each in read.loaded} == {"style.css", "site.js", "found.js"}
    assert not [each for read in site.values() for each in read.loaded if ":" in each]


async def test_what_is_searched_for_is_found_without_a_server(folder: Path, browser: Browser) -> None:
    await browser.go(folder.joinpath("docs", "money.html").as_uri())
    await browser.until("typeof FOUND === 'object' && document.readyState === 'complete'")
    await browser.type("#search", "credit_insuf")
    await browser.until("document.querySelector('#hits a')?.textContent.startsWith('CREDIT_INSUFFICIENT')")
    found = await browser.ask("document.querySelector('#hits a').href")
    assert found == folder.joinpath("reference", "errors", "CREDIT_INSUFFICIENT.html").as_uri()
    assert browser.visited == {""}


def is_there(site: Mapping[str, Read], at: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    if ":" in path:
        return True
    place = posixpath.normpath(posixpath.join(posixpath.dirname(at), path)) if path else at
    return place in site and anchor in site[place].anchors
