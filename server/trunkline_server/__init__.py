"""Trunkline: one gRPC gateway to every AI provider."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("trunkline-server")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0.0.0"
