"""The suite for vectors, ranks and judgements: every provider that has a craft for them, before a scripted server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.providers.conformance.accent import Accent
from tests.providers.conformance.stage import KEY, PREFIX, ServerStage, before_a_server
from tests.providers.conformance.texts import HARM, INPUTS, RANKS, TEXTS, VECTORS, OpenAI, spelling_of
from tests.providers.test_conformance import CASES, KINDS
from trunkline.v1 import models_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import CAPABILITIES, Operation
from trunkline_server.core.product import Product
from trunkline_server.providers.builtin import declaration
from trunkline_server.providers.own import own
from trunkline_server.providers.provider import Provider
from trunkline_server.providers.sandbox import SANDBOX
from trunkline_server.wire.craft import Craft

ALL = (Operation.EMBED, Operation.RERANK, Operation.MODERATION)
ABLE = {
    "openai": {Operation.EMBED, Operation.MODERATION},
    "anthropic": set(),
    "gemini": {Operation.EMBED},
    "mistral": {Operation.EMBED, Operation.MODERATION},
    "cohere": {Operation.EMBED, Operation.RERANK},
    "groq": set(),
    "xai": {Operation.EMBED},
    "huggingface": {Operation.EMBED},
    "ollama": {Operation.EMBED},
    "openrouter": {Operation.EMBED, Operation.RERANK},
}


@dataclass(frozen=True)
class Case:
    """One kind of work at one provider."""

    name: str
    dialect: str
    accent: Accent
    operation: Operation

    def __str__(self) -> str:
        return "-".join(filter(None, (self.name, self.dialect, self.operation)))

    @property
    def spelling(self) -> OpenAI:
        return spelling_of(self.name, self.dialect)


def declared(name: str, dialect: str) -> Provider | None:
    if dialect:
        return own(name, dialect)
    return declaration(name) if name in ABLE else None


def cases() -> list[Case]:
    accents = {(each.name, each.dialect): each.accent for each in CASES if each.accent}
    return [
        Case(name, dialect, accent, operation)
        for (name, dialect), accent in accents.items()
        for operation in ALL
        if (provider := declared(name, dialect)) and operation in provider.crafts
    ]


every = pytest.mark.parametrize("case", cases(), ids=str)


@pytest.fixture
async def stage(case: Case) -> AsyncIterator[ServerStage]:
    async with before_a_server(case.name, case.dialect, case.accent) as opened:
        yield opened


async def made(case: Case, stage: ServerStage) -> Product[Any]:
    craft = stage.upstream.provider.crafts[case.operation]
    assert isinstance(craft, Craft)
    return await stage.upstream.make(craft, Errand(case.name, case.spelling.model, INPUTS[case.operation]))


@every
async def test_makes_what_is_asked_for(case: Case, stage: ServerStage) -> None:
    stage.server.reply(json=case.spelling.answer(case.operation))

    product = await made(case, stage)

    assert told(product, case.operation) == wanted(case.operation)
    assert (product.usage, product.model) == (case.spelling.usage(case.operation), case.spelling.model_told)
    (request,) = stage.server.requests
    assert (request.method, request.path) == ("POST", PREFIX + case.spelling.paths[case.operation])
    assert case.spelling.texts_of(request.json()) == TEXTS


@every
async def test_the_key_goes_in_its_header_and_nowhere_else(case: Case, stage: ServerStage) -> None:
    stage.server.reply(json=case.spelling.answer(case.operation))

    await made(case, stage)

    (request,) = stage.server.requests
    assert case.accent.key(request.headers) == KEY
    assert sum(KEY in value for value in request.headers.values()) == 1
    assert KEY not in request.path
    assert KEY.encode() not in request.body


@every
@pytest.mark.parametrize("kind", [*KINDS, FailureKind.BROKEN])
async def test_fails_by_class(case: Case, stage: ServerStage, kind: FailureKind) -> None:
    stage.fail(kind)

    with pytest.raises(UpstreamFailure) as caught:
        await made(case, stage)

    assert caught.value.kind is kind
    assert "secret" not in str(caught.value)


@every
async def test_a_caller_that_leaves_closes_the_socket(case: Case, stage: ServerStage) -> None:
    served = stage.server.stream([b"{", asyncio.Event()], content_type="application/json")

    async with asyncio.timeout(10):
        asking = asyncio.create_task(made(case, stage))
        await served.asked()
        asking.cancel()
        await served.client_left()
    assert asking.cancelling()


def test_every_provider_says_what_it_can() -> None:
    for name, able in ABLE.items():
        provider = declaration(name)
        assert {operation for operation in ALL if operation in provider.crafts} == able
        assert provider.capabilities >= {CAPABILITIES[operation] for operation in able}
    assert set(ALL) <= set(SANDBOX.crafts)
    assert models_pb2.CAPABILITY_RERANK not in declaration("openai").capabilities


def test_another_dialect_brings_its_own_crafts() -> None:
    assert set(own("a", "anthropic").crafts).isdisjoint(ALL)
    assert set(ALL) <= set(own("a", "").crafts)


def told(product: Product[Any], operation: Operation) -> object:
    if operation is Operation.EMBED:
        return [list(each.values) for each in product.body.embeddings]
    if operation is Operation.RERANK:
        return [(each.index, each.score) for each in product.body.documents]
    return [(each.flagged, {one.name: one.score for one in each.categories}) for each in product.body.results]


def wanted(operation: Operation) -> object:
    judged = [(True, HARM)] * len(TEXTS)
    return {Operation.EMBED: VECTORS, Operation.RERANK: RANKS, Operation.MODERATION: judged}[operation]
