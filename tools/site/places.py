"""Where what is made of the contract, the errors, the settings and the providers stands in the site, and which names
lead there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from tools.site.contract import Chapter
from tools.site.providers import Entry
from tools.site.reasons import PREFIX, Reason
from tools.site.settings import Setting
from tools.site.tree import CONTRACT_PLACE

SERVICES: Final = CONTRACT_PLACE
ERRORS: Final = "reference/errors.html"
SETTINGS: Final = "reference/settings.html"
PROVIDERS: Final = "reference/providers.html"


def of_chapter(chapter: Chapter) -> str:
    return f"reference/{'services' if chapter.service else 'messages'}/{title_of(chapter)}.html"


def title_of(chapter: Chapter) -> str:
    return chapter.service.name if chapter.service else chapter.name


def of_reason(name: str) -> str:
    return f"reference/errors/{name}.html"


def of_setting(key: str) -> str:
    return f"reference/settings/{key}.html"


def of_provider(name: str) -> str:
    return f"reference/providers/{name}.html"


def known(
    chapters: Iterable[Chapter], reasons: Iterable[Reason], settings: Iterable[Setting], providers: Iterable[Entry]
) -> Iterator[tuple[str, str]]:
    """Names that lead to their pages wherever a page marks them as code; the later wins."""
    chapters = list(chapters)
    for chapter in chapters:
        yield from _in_chapter(chapter)
    yield from _methods(chapters)
    for setting in settings:
        yield from ((name, of_setting(setting.key)) for name in (setting.key, setting.variable) if name != "providers")
    for provider in providers:
        if provider.key:
            yield provider.key, of_provider(provider.name)
    for reason in reasons:
        yield from ((name, of_reason(reason.name)) for name in (reason.name, PREFIX + reason.name))


def _in_chapter(chapter: Chapter) -> Iterator[tuple[str, str]]:
    at = of_chapter(chapter)
    for message in chapter.messages:
        yield message.name, f"{at}#{message.name}"
        yield from ((f"{message.name}.{each.name}", f"{at}#{message.name}.{each.name}") for each in message.fields)
    for enum in chapter.enums:
        yield enum.name, f"{at}#{enum.name}"
        yield from ((value.name, f"{at}#{value.name}") for value in enum.values)


def _methods(chapters: Iterable[Chapter]) -> Iterator[tuple[str, str]]:
    """By `Service.Method`, and by the method alone where no other service has one of that name."""
    found = [(each.service, of_chapter(each)) for each in chapters if each.service]
    counts = Counter(method.name for service, _ in found for method in service.methods)
    for service, at in found:
        yield service.name, at
        for method in service.methods:
            yield f"{service.name}.{method.name}", f"{at}#{method.name}"
            if counts[method.name] == 1:
                yield method.name, f"{at}#{method.name}"
