"""Answers by the vectors of their questions: bounded, and gone when their time is over."""

from __future__ import annotations

from uuid import UUID

import pytest

from trunkline_server.store import similar_answers
from trunkline_server.store.database import Database
from trunkline_server.store.similar_answers import NewAnswer, Scope, SimilarAnswers
from trunkline_server.store.tenants import Tenants

EAST, NORTH, NORTH_EAST = [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]


@pytest.fixture
async def tenant_id(database: Database) -> UUID:
    return (await Tenants(database).ensure("acme")).tenant_id


@pytest.fixture
def answers(database: Database) -> SimilarAnswers:
    return SimilarAnswers(database)


def new(name: str, model: str = "echo", ttl_s: float = 60) -> NewAnswer:
    return NewAnswer(name.encode(), "sandbox", model, name.encode(), ttl_s)


async def found(answers: SimilarAnswers, scope: Scope, vector: list[float] = EAST) -> bytes | None:
    nearest = await answers.find(scope, vector)
    return nearest.answer if nearest else None


async def test_the_nearest_and_how_near_it_is(answers: SimilarAnswers, tenant_id: UUID) -> None:
    scope = Scope(tenant_id, b"one")
    await answers.keep(scope, EAST, new("east"))
    await answers.keep(scope, NORTH, new("north"))

    nearest = await answers.find(scope, NORTH_EAST)

    assert nearest is not None
    assert nearest.answer == b"north"
    assert nearest.similarity == pytest.approx(0.8)
    assert await found(answers, Scope(tenant_id, b"other")) is None


async def test_the_same_question_is_kept_once(answers: SimilarAnswers, tenant_id: UUID) -> None:
    scope = Scope(tenant_id, b"one")
    for answer in ("old", "new"):
        kept = NewAnswer(b"same", "sandbox", "echo", answer.encode(), 60)
        await answers.keep(scope, EAST, kept)

    assert await found(answers, scope) == b"new"
    assert await answers.purge(tenant_id, "", "") == 1


async def test_what_is_over_is_not_found_and_is_forgotten(answers: SimilarAnswers, tenant_id: UUID) -> None:
    scope = Scope(tenant_id, b"one")
    await answers.keep(scope, EAST, new("over", ttl_s=0))

    assert await found(answers, scope) is None
    await answers.forget(10)
    assert await answers.purge(tenant_id, "", "") == 0


async def test_a_scope_that_is_full_loses_its_oldest(
    answers: SimilarAnswers, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_answers, "SCOPE_ENTRIES_MAX", 2)
    scope = Scope(tenant_id, b"one")
    await answers.keep(scope, EAST, new("first"))
    for name in ("second", "third"):
        await answers.keep(scope, NORTH, new(name))

    assert await found(answers, scope) != b"first"
    assert await answers.purge(tenant_id, "", "") == 2


async def test_a_tenant_that_has_too_many_loses_the_oldest(answers: SimilarAnswers, tenant_id: UUID) -> None:
    for name in ("first", "second", "third"):
        await answers.keep(Scope(tenant_id, name.encode()), EAST, new(name))

    await answers.forget(2)

    told = [await found(answers, Scope(tenant_id, name.encode())) for name in ("first", "second", "third")]
    assert told == [None, b"second", b"third"]


async def test_purged_by_provider_and_model(answers: SimilarAnswers, tenant_id: UUID) -> None:
    scope = Scope(tenant_id, b"one")
    await answers.keep(scope, EAST, new("one", model="echo"))
    await answers.keep(scope, NORTH, new("two", model="slow"))

    assert await answers.purge(tenant_id, "other", "") == 0
    assert await answers.purge(tenant_id, "sandbox", "slow") == 1
    assert await found(answers, scope, NORTH) == b"one"
