"""The fixtures of the tests of providers. What speaks HTTP is tested on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.providers.sandbox import sandbox

__all__ = ["sandbox"]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    speaks_http = item.path.parent.name == "http"
    return {"asyncio": asyncio.new_event_loop, **({"uvloop": uvloop.new_event_loop} if speaks_http else {})}
