"""Markdown as the site's HTML: headings with GitHub's anchors, links between pages, code in colours, and names of the
contract, of settings and of errors that lead to their pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import Any, Final, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

Env: TypeAlias = MutableMapping[str, Any]
_SIGNS: Final = re.compile(r"[^\w\- ]")
_FORMATTER: Final = HtmlFormatter(nowrap=True)


@dataclass(frozen=True)
class Heading:
    level: int
    anchor: str
    text: str


@dataclass
class Rendered:
    """A page's HTML, and its headings in their order."""

    html: str = ""
    headings: list[Heading] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.headings[0].text if self.headings else ""


class Markup:
    """`known` are names that have a page, with its place; `target` says where a link in a file of the tree leads: to a
    place of the site, or out of it."""

    def __init__(self, known: Mapping[str, str], target: Callable[[str, str], str]) -> None:
        self._known, self._target = known, target
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
        for name in ("code_inline", "fence", "heading_open", "link_open", "link_close", "table_open", "table_close"):
            self._markdown.add_render_rule(name, _rule(getattr(self, f"_{name}")))

    def page(self, text: str, place: str, source: str = "README.md") -> Rendered:
        """A text that stands in this file of the tree, and is shown at this place of the site."""
        told = Rendered()
        told.html = self._markdown.render(text, _environment(place, source, told))
        return told

    def inline(self, text: str, place: str, source: str = "README.md") -> str:
        """A few words, without a paragraph around them."""
        return str(self._markdown.renderInline(text, _environment(place, source, Rendered())))

    def _code_inline(self, tokens: Sequence[Token], at: int, env: Env) -> str:
        name = tokens[at].content
        found = self._known.get(name)
        if not found or env["is_linked"] or found == env["place"]:
            return f"<code>{escape(name)}</code>"
        return f'<a class="name" href="{between(env["place"], found)}"><code>{escape(name)}</code></a>'

    def _fence(self, tokens: Sequence[Token], at: int, _: Env) -> str:
        return f"<pre><code>{coloured(tokens[at].content, tokens[at].info.strip())}</code></pre>\n"

    def _heading_open(self, tokens: Sequence[Token], at: int, env: Env) -> str:
        heading = _heading(tokens[at], tokens[at + 1], env["told"].headings)
        env["told"].headings.append(heading)
        return f'<{tokens[at].tag} id="{heading.anchor}">'

    def _link_open(self, tokens: Sequence[Token], at: int, env: Env) -> str:
        env["is_linked"] = True
        target = self._target(env["source"], str(tokens[at].attrs["href"]))
        return f'<a href="{escape(target if ":" in target else between(env["place"], target))}">'

    def _link_close(self, _: Sequence[Token], _at: int, env: Env) -> str:
        env["is_linked"] = False
        return "</a>"

    def _table_open(self, *_: object) -> str:
        return '<div class="table"><table>\n'

    def _table_close(self, *_: object) -> str:
        return "</table></div>\n"


def _environment(place: str, source: str, told: Rendered) -> Env:
    return {"place": place, "source": source, "told": told, "is_linked": False}


def between(place: str, target: str) -> str:
    """The way from one place of the site to another: up to its root, and down."""
    return "../" * place.count("/") + target


def coloured(code: str, language: str) -> str:
    try:
        return str(highlight(code, _lexer(language), _FORMATTER))
    except ClassNotFound:
        return escape(code)


_lexer = cache(get_lexer_by_name)


def slug(text: str) -> str:
    """The anchor that GitHub gives a heading."""
    return _SIGNS.sub("", text.lower()).replace(" ", "-")


def _heading(opened: Token, inline: Token, before: Sequence[Heading]) -> Heading:
    text = "".join(each.content for each in inline.children or () if each.type in ("text", "code_inline"))
    again = sum(slug(each.text) == slug(text) for each in before)
    return Heading(int(opened.tag[1:]), f"{slug(text)}-{again}" if again else slug(text), text)


def _rule(render: Callable[[Sequence[Token], int, Env], str]) -> Callable[..., str]:
    """As markdown-it asks for it: with itself before and its options between."""
    return lambda _self, tokens, at, _options, env: render(tokens, at, env)
