"""Under which name an answer is kept: none is without a tenant, and none leaves out a part of the question."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from trunkline.v1 import chat_pb2

NOT_ASKED: Final = ("actions", "cache", "labels", "max_cost")
"""Fields of a question that say nothing about its answer."""
PREFIX: Final = "trunkline:cache:"


@dataclass(frozen=True, slots=True)
class CacheKey:
    """`provider` and `model` are those that are asked first."""

    tenant_id: UUID
    provider: str
    model: str
    digest: str

    @classmethod
    def of(
        cls,
        tenant_id: UUID,
        provider: str,
        model: str,
        input: chat_pb2.ChatInput,
        allowed_models: Sequence[str],
        *,
        guard: bytes = b"",
        template: str = "",
    ) -> Self:
        """`allowed_models` is what the caller's key may use, `guard` what is kept out, `template` the version of a
        prompt: others get their own answers."""
        bare = chat_pb2.ChatInput()
        bare.CopyFrom(input)
        for field in NOT_ASKED:
            bare.ClearField(field)
        told = hashlib.sha256(tenant_id.bytes)
        for part in (provider, model, template, *sorted(allowed_models)):
            told.update(len(part).to_bytes(4) + part.encode())
        told.update(guard)
        told.update(bare.SerializeToString(deterministic=True))
        return cls(tenant_id, provider, model, told.hexdigest())

    def __str__(self) -> str:
        return f"{prefix(self.tenant_id, self.provider, self.model)}{self.digest}"


def prefix(tenant_id: UUID, provider: str = "", model: str = "") -> str:
    """What the names of a tenant's answers begin with; with a provider, of a provider's, or of one of its models."""
    names = [_spelled(each) for each in (provider, model) if each]
    return ":".join([f"{PREFIX}{{{tenant_id.hex}}}", *names, ""])


def _spelled(name: str) -> str:
    """No sign that means something in a pattern."""
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
