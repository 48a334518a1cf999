"""Work that goes on while the house is open."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack


def keep(stack: AsyncExitStack, *works: Coroutine[object, object, None]) -> None:
    """Goes on until the house is closed."""
    for each in works:
        stack.callback(asyncio.get_running_loop().create_task(each).cancel)
