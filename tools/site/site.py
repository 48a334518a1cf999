"""Builds the site: the pages of `docs/`, and those that are made of the contract, the errors, the settings and the
providers. It needs nothing from outside, neither to be built nor to be read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import jinja2
import orjson
from markupsafe import Markup as Safe

from tools.site import contract, places, providers, reasons, settings
from tools.site.markup import Markup, Rendered, between, coloured
from tools.site.tree import Tree, place, shown_place

HERE: Final = Path(__file__).parent
ASSETS: Final = ("style.css", "site.js")
LANGUAGES: Final[Mapping[str, str]] = {".yml": "yaml", ".json": "json", ".toml": "toml"}


class Site:
    """Reads everything, then writes page by page into `folder`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder, self._tree = root, folder, Tree(root)
        self._chapters = contract.chapters()
        self._reasons = reasons.reasons(root, self._chapters)
        self._settings = settings.settings(root)
        self._providers = providers.providers(root)
        known = places.known(self._chapters, self._reasons, self._settings, self._providers)
        self._markup = Markup(dict(known), self._tree.target)
        self._templates = _templates()
        self._found: list[tuple[str, str, str]] = []

    def build(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._write_pages()
        self._write_reference()
        self._write_lists()
        self._write_shown()
        for name in ASSETS:
            shutil.copyfile(HERE / name, self._folder / name)
        self._folder.joinpath("found.js").write_bytes(b"const FOUND = " + orjson.dumps(self._found) + b";\n")

    def _write_pages(self) -> None:
        pages = {page: self._rendered(page) for page in self._tree.pages}
        self._templates.globals["contents"] = [
            (part.title, [(place(page), pages[page].title) for page in part.pages]) for part in self._tree.parts
        ]
        for page, rendered in pages.items():
            self._write("page.html", place(page), rendered.title, "", rendered=rendered)
            for heading in rendered.headings[1:]:
                self._found.append((heading.text, rendered.title, f"{place(page)}#{heading.anchor}"))

    def _rendered(self, page: str) -> Rendered:
        return self._markup.page(self._root.joinpath(page).read_text("utf-8"), place(page), page)

    def _write_reference(self) -> None:
        for chapter in self._chapters:
            kind = "service" if chapter.service else "messages"
            self._write("chapter.html", places.of_chapter(chapter), places.title_of(chapter), kind, chapter=chapter)
            self._found.extend((name, "message", f"{places.of_chapter(chapter)}#{name}") for name in chapter.names)
        for reason in self._reasons:
            self._write("reason.html", places.of_reason(reason.name), reason.name, "error", reason=reason)
        for setting in self._settings:
            at, pages = places.of_setting(setting.key), self._mentions(setting.key)
            self._write("setting.html", at, setting.key, "setting", setting=setting, pages=pages)
        for provider in self._providers:
            self._write("provider.html", places.of_provider(provider.name), provider.name, "provider", entry=provider)

    def _write_lists(self) -> None:
        self._write("services.html", places.SERVICES, "The contract", "", chapters=self._chapters)
        self._write("errors.html", places.ERRORS, "Every error", "", reasons=self._reasons)
        self._write("settings.html", places.SETTINGS, "Every setting", "", settings=self._settings)
        self._write("providers.html", places.PROVIDERS, "Every provider", "", entries=self._providers)

    def _write_shown(self) -> None:
        for file in sorted(self._tree.shown):
            path = self._root / file
            code = Safe(coloured(path.read_text("utf-8"), LANGUAGES.get(path.suffix, "text")))
            self._write("source.html", shown_place(file), file, "file", code=code)

    def _mentions(self, key: str) -> list[tuple[str, str]]:
        """Places and titles of the pages that speak of a setting."""
        found = []
        for page in self._tree.pages:
            text = self._root.joinpath(page).read_text("utf-8")
            if page != settings.SOURCE and f"`{key}`" in text:
                found.append((place(page), text.partition("\n")[0].strip("# ")))
        return found

    def _write(self, template: str, at: str, title: str, kind: str, **values: object) -> None:
        """`kind` is what a search says that the page is about."""
        self._found.append((title, kind, at))
        told = self._templates.get_template(template).render(
            at=at,
            title=title,
            to=partial(between, at),
            blocks=lambda text, source="README.md": Safe(self._markup.page(text, at, source).html),
            words=lambda text, source="README.md": Safe(self._markup.inline(text, at, source)),
            **values,
        )
        file = self._folder / at
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(told, "utf-8")


def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.globals["places"] = places
    made.filters["named"] = _named
    made.filters["safe_code"] = lambda code, language: Safe(coloured(code, language))
    return made


def _named(comment: str) -> str:
    """A comment with the reasons that it names marked as code."""
    quoted: Any = re.sub(r"(`[^`]*`)|" + reasons.NAME.pattern, lambda m: m[0] if m[1] else f"`{m[0]}`", comment)
    return str(quoted)
