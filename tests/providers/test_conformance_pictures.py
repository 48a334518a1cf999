"""One suite for every provider that makes pictures or films: over real sockets, as the gateway asks them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fixtures.upstream import Upstream as Server
from tests.providers.conformance.pictures import CASES, FILM, Case, Reply
from tests.providers.conformance.stage import KEY, PREFIX
from tests.wire.pictures import PNG
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.core.product import Product
from trunkline_server.providers.builtin import declarations
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import ProviderSettings, Registry
from trunkline_server.wire.craft import Pending

WORK = {Operation.IMAGE, Operation.IMAGE_EDIT, Operation.VIDEO}

every = pytest.mark.parametrize("case", CASES, ids=str)
long = pytest.mark.parametrize("case", [case for case in CASES if case.is_long], ids=str)


@dataclass(frozen=True)
class Stage:
    """A provider that the settings switch on, before a server that plays its part."""

    case: Case
    upstream: Upstream
    server: Server

    @property
    def craft(self) -> Any:
        return self.upstream.provider.crafts[self.case.operation]

    def reply(self, *replies: Reply) -> None:
        for each in replies:
            self.server.reply(each.data, status=each.status, headers={"content-type": each.kind, **each.headers})

    async def begin(self) -> Any:
        """The first thing that is asked."""
        errand = self.case.errand()
        return await (self.upstream.submit if self.case.is_long else self.upstream.make)(self.craft, errand)

    async def finish(self) -> Product[Any]:
        """All that is asked, until there is a product."""
        begun = await self.begin()
        for _ in self.case.replies if self.case.is_long else ():
            begun = await self.upstream.poll(self.craft, self.case.errand(), self.operation(begun))
            if isinstance(begun, Product):
                break
        assert isinstance(begun, Product)
        return begun

    def operation(self, begun: Any) -> str:
        """What was begun is known by the first answer."""
        if isinstance(begun, Pending):
            first = self.case.replies[0]
            return str(self.craft.submitted(self.case.errand(), {}, first.data))
        assert isinstance(begun, str)
        return begun


@pytest.fixture
async def stage(case: Case) -> AsyncIterator[Stage]:
    async with Server() as server:
        settings = ProviderSettings(dialect=case.dialect, base_url=server.url + PREFIX, api_key=KEY)
        registry = Registry({case.name: settings}, ClientSettings())
        try:
            yield Stage(case, registry.upstream(case.name), server)
        finally:
            await registry.close()


def test_everybody_who_does_such_work_is_here() -> None:
    doing = {(each.name, operation) for each in declarations() for operation in WORK & each.crafts.keys()}
    assert doing == {(case.name, case.operation) for case in CASES if not case.dialect}


@every
async def test_the_work_is_done(stage: Stage) -> None:
    stage.reply(*stage.case.replies)
    product = await stage.finish()
    (made,) = product.body.videos if stage.case.operation is Operation.VIDEO else product.body.images
    expected = FILM if stage.case.operation is Operation.VIDEO else PNG
    assert made.blob.uri == stage.case.address if stage.case.address else made.blob.data == expected
    assert [request.path for request in stage.server.requests] == [PREFIX + reply.path for reply in stage.case.replies]


@every
async def test_the_key_goes_in_its_header_and_nowhere_else(stage: Stage) -> None:
    stage.reply(*stage.case.replies)
    await stage.finish()
    for request in stage.server.requests:
        assert KEY in request.headers[stage.case.key_header]
        assert sum(KEY in value for value in request.headers.values()) == 1
        assert KEY not in request.path
        assert KEY.encode() not in request.body


@every
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureKind.AUTH),
        (402, FailureKind.QUOTA),
        (422, FailureKind.INVALID),
        (429, FailureKind.THROTTLED),
        (500, FailureKind.TRANSIENT),
    ],
)
async def test_it_fails_by_class(stage: Stage, status: int, kind: FailureKind) -> None:
    stage.reply(Reply("", {"detail": "secret"}, status=status))
    assert (await failed(stage)).kind is kind


@every
@pytest.mark.parametrize("status", [200, 302])
async def test_a_page_is_no_answer(stage: Stage, status: int) -> None:
    elsewhere = {"location": "https://elsewhere.example/"} if status == 302 else {}
    stage.reply(Reply("", b"<!doctype html>", "text/html", status, elsewhere))
    assert (await failed(stage)).kind is FailureKind.BROKEN
    assert len(stage.server.requests) == 1


@every
async def test_a_caller_that_leaves_closes_the_socket(stage: Stage) -> None:
    hanging = stage.server.hang()
    asking = asyncio.create_task(stage.begin())
    await hanging.asked()
    asking.cancel()
    await hanging.client_left()


@every
async def test_nobody_answers(stage: Stage) -> None:
    await stage.server.__aexit__()
    assert (await failed(stage)).kind is FailureKind.NEVER_SENT


@every
def test_it_is_never_done_twice(case: Case, stage: Stage) -> None:
    assert case.is_long or not stage.craft.is_idempotent


@long
async def test_a_page_is_no_progress(stage: Stage) -> None:
    first = stage.case.replies[0]
    stage.reply(first, Reply("", b"<!doctype html>", "text/html"))
    operation = await stage.begin()
    with pytest.raises(UpstreamFailure) as caught:
        await stage.upstream.poll(stage.craft, stage.case.errand(), operation)
    assert caught.value.kind is FailureKind.BROKEN


@long
async def test_what_is_kept_holds_no_secret(stage: Stage) -> None:
    stage.reply(stage.case.replies[0])
    operation = await stage.begin()
    assert KEY not in operation
    assert "a cat" not in operation


@long
async def test_it_is_stopped_where_that_can_be(stage: Stage) -> None:
    stage.reply(stage.case.replies[0], Reply("", {"status": "CANCELLATION_REQUESTED"}, status=202))
    await stage.upstream.abandon(stage.craft, await stage.begin())
    stops = [request for request in stage.server.requests[1:] if request.method == "PUT"]
    assert len(stops) == (stage.case.name == "fal")


async def failed(stage: Stage) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await stage.begin()
    return caught.value
