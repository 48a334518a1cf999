"""Whose trained models are whose, and what tenants call theirs: a part of what routes are found by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from uuid import UUID

from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.model import ModelEntry

Place: TypeAlias = tuple[str, str]
"""A provider, and what it calls a model."""


class TunedModel(NamedTuple):
    """Whose it is, what it began with, and what its tenant calls it, if anything."""

    owner: UUID
    base_model: str
    name: str = ""


Describe: TypeAlias = Callable[[Catalogue, str, str, TunedModel], ModelEntry]
"""What a catalogue would have of a model: the provider, its name for it, and what is known here."""


@dataclass(frozen=True)
class Tuned:
    """`names`: what a tenant's own names mean."""

    describe: Describe
    models: Mapping[Place, TunedModel] = field(default_factory=dict)
    names: Mapping[UUID, Mapping[str, Place]] = field(default_factory=dict)

    @property
    def tenants(self) -> frozenset[UUID]:
        """Those for whom a name may mean something else than for others."""
        return frozenset(model.owner for model in self.models.values()) | self.names.keys()

    def meant(self, tenant_id: UUID, name: str) -> Place | None:
        """What a tenant's own name means."""
        names = self.names.get(tenant_id)
        return names.get(name) if names else None

    def has(self, provider: str, model: str) -> bool:
        """It is some tenant's."""
        return (provider, model) in self.models

    def is_foreign(self, tenant_id: UUID, provider: str, model: str) -> bool:
        """It is another tenant's: for this one there is no such model."""
        found = self.models.get((provider, model))
        return found is not None and found.owner != tenant_id

    def entry(self, catalogue: Catalogue, provider: str, model: str) -> ModelEntry | None:
        found = self.models.get((provider, model))
        return self.describe(catalogue, provider, model, found) if found else None

    def of(self, catalogue: Catalogue, tenant_id: UUID) -> list[ModelEntry]:
        """A tenant's models."""
        places = [place for place, model in self.models.items() if model.owner == tenant_id]
        return [self.describe(catalogue, *place, self.models[place]) for place in places]
