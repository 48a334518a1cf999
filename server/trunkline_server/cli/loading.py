"""How the whole house is loaded, by commands that need it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """What is loaded stays: to look for garbage among it again and again takes a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
