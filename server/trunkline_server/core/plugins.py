"""What other distributions bring: their entry points, of which each group is loaded by whom it is for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points


def brought(group: str) -> list[EntryPoint]:
    """Of one group, by name."""
    return sorted(_select_from(tuple(sys.path))(group=group), key=lambda each: each.name)


@lru_cache(1)
def _select_from(_path: tuple[str, ...]) -> Callable[..., EntryPoints]:
    """All groups are read at once: to look through everything that is installed takes milliseconds."""
    return entry_points().select
