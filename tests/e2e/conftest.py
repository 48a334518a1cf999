"""The fixtures of the end-to-end tests."""

from __future__ import annotations

from tests.fixtures.served import serve

__all__ = ["serve"]
