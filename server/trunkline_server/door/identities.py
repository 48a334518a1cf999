"""Who may call by a certificate: names of workloads, and what each may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trunkline_server.core.priority import Priority


@dataclass(frozen=True, slots=True)
class Identity:
    """`name` is a SPIFFE id or a DNS name; one that ends in `/*` stands for all under it."""

    name: str
    tenant: str
    scopes: frozenset[str]
    models: tuple[str, ...] = ()
    priority: Priority = Priority.INTERACTIVE

    def covers(self, shown: str) -> bool:
        return shown == self.name or (self.name.endswith("/*") and shown.startswith(self.name[:-1]))


class Identities:
    """The first that covers a name counts."""

    def __init__(self, known: Sequence[Identity] = ()) -> None:
        self._known = known

    def first(self, shown: Iterable[str]) -> tuple[str, Identity] | None:
        """Of the names in a certificate, the first that is known, and whose it is."""
        pairs = ((name, each) for name in shown for each in self._known if each.covers(name))
        return next(pairs, None)
