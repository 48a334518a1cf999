"""Looks for the answer to a question that means nearly the same, by a vector that is made, and charged, for it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from trunkline.v1 import chat_pb2, embeddings_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.cache.memory import Kept
from trunkline_server.gateway.cache.wish import Likeness, Wish
from trunkline_server.gateway.errand_run import ErrandRun
from trunkline_server.gateway.errand_work import ErrandWork
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.settlement import CHARGE_TRAILER
from trunkline_server.store.similar_answers import NewAnswer, Scope, SimilarAnswers

MISTAKEN: Final = frozenset(
    (
        Reason.MODEL_NOT_FOUND,
        Reason.MODEL_NOT_ALLOWED,
        Reason.PROVIDER_DISABLED,
        Reason.CAPABILITY_UNSUPPORTED,
        Reason.VALIDATION,
    )
)
"""What is wrong with the embedding model that the call names; for all else the question is just asked."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a vector was good for: an answer that is similar enough, or a place to keep a new one at."""

    lookup: chat_pb2.CacheLookup
    scope: Scope
    vector: Sequence[float]
    kept: Kept | None = None


@contextmanager
def billed(call: Call, looked: Looked | None) -> Iterator[None]:
    """What a vector cost is added to what the call says that it was charged, however it ends."""
    try:
        yield
    finally:
        if looked is not None:
            told = money.from_decimal_text(call.trailers.get(CHARGE_TRAILER, "0"))
            call.trailers[CHARGE_TRAILER] = money.to_decimal_text(told + looked.lookup.charge.nanos)


class Similar:
    """Beside the cache of answers to the letter, which is asked first and costs nothing."""

    def __init__(self, gateway: Gateway, answers: SimilarAnswers) -> None:
        self._gateway = gateway
        self._answers = answers

    async def look(self, call: Call, wish: Wish) -> Looked | None:
        """None where the call does not want it, or there is no vector to be had. Raises what is wrong with the wish."""
        if wish.likeness is None:
            return None
        try:
            looked = _looked(wish, wish.likeness, await self._embedded(call, wish.likeness))
        except TrunklineError as error:
            if error.reason in MISTAKEN:
                raise
            return None
        return await self._nearest(wish.likeness, looked) if wish.reads and looked.vector else looked

    async def keep(self, wish: Wish, looked: Looked, answer: bytes) -> None:
        """With the database away it is not kept."""
        if not looked.vector:
            return
        key = wish.key
        new = NewAnswer(bytes.fromhex(key.digest), key.provider, key.model, answer, wish.ttl_s)
        with suppress(TrunklineError):
            await self._answers.keep(looked.scope, looked.vector, new)

    async def _embedded(self, call: Call, likeness: Likeness) -> ErrandRun[embeddings_pb2.EmbedInput, Any]:
        input = embeddings_pb2.EmbedInput(model=likeness.embedding_model, texts=[likeness.words])
        work: ErrandWork[embeddings_pb2.EmbedInput, Any] = ErrandWork(input, kind=Operation.EMBED)
        return await self._gateway.perform(replace(call, trailers={}, facts={}), work)

    async def _nearest(self, likeness: Likeness, looked: Looked) -> Looked:
        """With the database away nothing is found."""
        found = None
        with suppress(TrunklineError):
            found = await self._answers.find(looked.scope, looked.vector)
        if found is None or found.similarity < likeness.similarity_min:
            return looked
        looked.lookup.similarity = min(found.similarity, 1.0)
        until_ms = round(found.expire_time.timestamp() * 1000)
        return replace(looked, kept=Kept(found.answer, until_ms, until_ms))


def _looked(wish: Wish, likeness: Likeness, run: ErrandRun[embeddings_pb2.EmbedInput, Any]) -> Looked:
    lookup = chat_pb2.CacheLookup(completion_id=run.spelled_id, charge=money.credits(run.bill.charge_nanos))
    vector = _unit(run.product.body.embeddings[0].values)
    made_by = f"{likeness.scope.digest}/{run.route.provider}/{run.route.model}/{len(vector)}"
    return Looked(lookup, Scope(wish.key.tenant_id, hashlib.sha256(made_by.encode()).digest()), vector)


def _unit(values: Sequence[float]) -> list[float]:
    """Of length 1; empty where there is no such vector."""
    length = math.sqrt(math.fsum(value * value for value in values))
    return [value / length for value in values] if 0 < length < math.inf else []
