"""What one call wants of the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.gateway.cache.key import CacheKey
from trunkline_server.gateway.routes import Route

SIMILARITY_MIN: Final = 0.95
TEMPERATURE_MAX: Final = 0.5
"""Who asks for more of it wants another answer each time."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """`stale_s`: how long an answer is kept beyond its time. A hit costs `hit_price_nanos`."""

    ttl_s: float
    stale_s: float
    answer_bytes_max: int
    hit_price_nanos: int
    embedding_model: str = ""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Which other questions mean the same: all of `scope` is alike, and the `words` are so similar."""

    scope: CacheKey
    words: str
    similarity_min: float
    embedding_model: str


@dataclass(frozen=True, slots=True)
class Wish:
    """`likeness`: None where the answer to another question will not do, as under a guard: words that it masks are not
    for the model that makes vectors either.
    """

    key: CacheKey
    mode: chat_pb2.CacheMode.ValueType
    ttl_s: float
    allow_stale: bool
    likeness: Likeness | None

    @property
    def reads(self) -> bool:
        return self.mode != chat_pb2.CACHE_MODE_REFRESH

    @classmethod
    def of(
        cls, call: Call, route: Route, input: chat_pb2.ChatInput, settings: CacheSettings, guard: bytes = b""
    ) -> Wish:
        """`guard` is the digest of what is guarded. Raises VALIDATION."""
        policy = input.cache
        return cls(
            key=_key(call, route, input, guard),
            mode=policy.mode,
            ttl_s=policy.ttl.seconds + policy.ttl.nanos / 1e9 if policy.HasField("ttl") else settings.ttl_s,
            allow_stale=policy.allow_stale,
            likeness=_likeness(call, route, input, settings) if policy.HasField("similar") and not guard else None,
        )


def _key(call: Call, route: Route, input: chat_pb2.ChatInput, guard: bytes = b"") -> CacheKey:
    caller = call.caller
    named = (caller.tenant_id, route.provider, route.model)
    return CacheKey.of(*named, input, caller.allowed_models, guard=guard, template=call.template)


def _likeness(call: Call, route: Route, input: chat_pb2.ChatInput, settings: CacheSettings) -> Likeness | None:
    similar, words = input.cache.similar, _words(input)
    model = similar.embedding_model or settings.embedding_model
    if not model:
        raise invalid("input.cache.similar.embedding_model", "is needed, as the operator names none")
    if not words or not _may_be_similar(input):
        return None
    bare = chat_pb2.ChatInput()
    bare.CopyFrom(input)
    del bare.messages[-1].parts[:]
    scope = _key(call, route, bare)
    least = similar.similarity_min if similar.HasField("similarity_min") else SIMILARITY_MIN
    return Likeness(scope, words, least, model)


def _may_be_similar(input: chat_pb2.ChatInput) -> bool:
    similar, sampling = input.cache.similar, input.sampling
    is_hot = sampling.HasField("temperature") and sampling.temperature > TEMPERATURE_MAX
    return (similar.with_tools or not input.tools) and (similar.with_high_temperature or not is_hot)


def _words(input: chat_pb2.ChatInput) -> str:
    """Of the last message; empty where it is not a user's, or is more than words."""
    last = input.messages[-1]
    if last.role != content_pb2.ROLE_USER or any(part.WhichOneof("kind") != "text" for part in last.parts):
        return ""
    return "\n".join(part.text.text for part in last.parts).strip()
