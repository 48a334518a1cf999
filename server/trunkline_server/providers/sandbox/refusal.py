"""A request that the sandbox does not take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class Refusal(Exception):
    """Becomes an error body with this status."""

    status: int
    code: str
    message: str
