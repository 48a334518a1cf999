"""What breakers are called: `provider/model`, or `provider` for a key there; of a tenant's own key, with the tenant."""

from __future__ import annotations

from uuid import UUID


def spell(name: str, owner: UUID | None) -> str:
    """`owner`: the tenant whose own key it is."""
    return f"{owner}:{name}" if owner else name


def read(spelled: str) -> tuple[str, UUID | None]:
    """The name and the owner. Names of models may have colons in them, those of providers have none."""
    whose, _, name = spelled.partition(":")
    return (name, UUID(whose)) if name and "/" not in whose else (spelled, None)
