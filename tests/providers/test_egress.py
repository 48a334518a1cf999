"""The guarded fetch against a real socket, a resolver that lies, and a network that tells what was dialled."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from tests.fixtures.upstream import CLOSE, Upstream
from trunkline_server.core.address import Address as WebAddress
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.providers import guard
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.egress import Egress, EgressTimeouts, Fetched
from trunkline_server.providers.guard import Ways
from trunkline_server.providers.http.network import Address, Network, open_socket
from trunkline_server.wire.http import HttpRequest

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
PUBLIC = "93.184.216.34"
POLICY = EgressPolicy(allow_http_hosts={"img.example", "other.example"})
TENANT, OTHER = UUID(int=1), UUID(int=2)
ANEW = EgressTimeouts(keep_s=0)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


class World:
    """A guarded client over a network that leads to the upstream, whatever number was dialled, and a resolver that
    gives one scripted list of answers after another."""

    def __init__(
        self,
        upstream: Upstream,
        *answers: Sequence[str],
        timeouts: EgressTimeouts | None = None,
        policy: EgressPolicy = POLICY,
    ) -> None:
        self.dialled: list[tuple[str, int]] = []
        self.looked_up: list[str] = []
        self._port = upstream.port
        self._answers = list(answers)
        self.network = Network(self._look_up, self._open)
        self.egress = Egress(policy, timeouts, self.network)

    async def _look_up(self, host: str, port: int) -> Sequence[Address]:
        self.looked_up.append(host)
        return [(socket.AF_INET, (answer, port)) for answer in self._answers.pop(0)]

    async def _open(self, address: Address) -> socket.socket:
        self.dialled.append(address[1])
        return await open_socket((socket.AF_INET, ("127.0.0.1", self._port)))

    async def fetch(
        self, url: str = "http://img.example/a.png?b=c", bytes_max: int = 1000, owner: UUID = TENANT
    ) -> Fetched:
        return await self.egress.fetch(url, owner=owner, bytes_max=bytes_max, field="image.url")

    async def refusal(
        self, url: str = "http://img.example/", bytes_max: int = 1000, owner: UUID = TENANT
    ) -> TrunklineError:
        with pytest.raises(TrunklineError) as caught:
            await self.fetch(url, bytes_max, owner)
        assert [violation.field for violation in caught.value.violations] == ["image.url"]
        return caught.value


async def test_fetches_and_sends_nothing_of_ours(upstream: Upstream) -> None:
    upstream.reply(PNG, headers={"content-type": "image/jpeg", "set-cookie": "a=b"})
    world = World(upstream, [PUBLIC])
    assert await world.fetch() == Fetched(PNG, "image/png")
    (seen,) = upstream.requests
    assert (seen.method, seen.path, seen.headers["host"]) == ("GET", "/a.png?b=c", "img.example")
    assert set(seen.headers) == {"host", "accept", "accept-encoding", "user-agent"}


async def test_dials_the_number_that_was_checked(upstream: Upstream) -> None:
    upstream.reply(PNG)
    world = World(upstream, [PUBLIC], ["127.0.0.1"], timeouts=ANEW)
    await world.fetch()
    assert (world.looked_up, world.dialled) == (["img.example"], [(PUBLIC, 80)])
    assert (await world.refusal()).reason is Reason.URL_NOT_ALLOWED  # the name leads home the second time
    assert len(world.dialled) == 1


@pytest.mark.parametrize(
    "answers",
    [
        [],
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%lo"],
        ["x"],
    ],
)
async def test_every_answer_must_pass(upstream: Upstream, answers: list[str]) -> None:
    world = World(upstream, answers)
    assert (await world.refusal()).reason is Reason.URL_NOT_ALLOWED
    assert not world.dialled


REDIRECTS = [
    "https://169.254.169.254/latest",
    "http://elsewhere.example/",
    "file:///etc/passwd",
    "//127.0.0.1/",
    "http://[",
]


@pytest.mark.parametrize("location", REDIRECTS)
async def test_a_redirect_is_judged_like_an_address(upstream: Upstream, location: str) -> None:
    upstream.reply(status=302, headers={"location": location})
    world = World(upstream, [PUBLIC])
    assert (await world.refusal()).reason is Reason.URL_NOT_ALLOWED
    assert len(upstream.requests) == 1


async def test_a_redirect_to_a_name_that_leads_home(upstream: Upstream) -> None:
    upstream.reply(status=307, headers={"location": "http://other.example/x"})
    world = World(upstream, [PUBLIC], ["169.254.169.254"])
    assert (await world.refusal()).reason is Reason.URL_NOT_ALLOWED
    assert world.dialled == [(PUBLIC, 80)]


async def test_three_redirects_are_followed_and_not_four(upstream: Upstream) -> None:
    for path in ("/1", "2", "http://other.example/3"):
        upstream.reply(status=301, headers={"location": path})
    upstream.reply(PNG)
    assert (await World(upstream, *[[PUBLIC]] * 4).fetch()).data == PNG
    assert [request.path for request in upstream.requests[1:]] == ["/1", "/2", "/3"]
    for _ in range(4):
        upstream.reply(status=301, headers={"location": "/again"})
    assert (await World(upstream, *[[PUBLIC]] * 4).refusal()).reason is Reason.URL_NOT_ALLOWED


async def test_denied_and_unreachable_look_the_same(upstream: Upstream) -> None:
    upstream.raw(CLOSE)
    upstream.raw(b"hello there\r\n\r\n")
    refusals = [
        await World(upstream, ["127.0.0.1"]).refusal(),
        await World(upstream, []).refusal(),
        await World(upstream).refusal("https://127.0.0.1/"),
        await World(upstream, [PUBLIC]).refusal(),
        await World(upstream, [PUBLIC]).refusal(),
    ]
    assert len({str(refusal) for refusal in refusals}) == 1


async def test_too_large_is_cut_off(upstream: Upstream) -> None:
    answer = upstream.stream([b"x" * 600, b"x" * 600, asyncio.Event()])
    assert (await World(upstream, [PUBLIC]).refusal()).reason is Reason.MEDIA_INVALID
    await answer.client_left()


async def test_the_time_is_bounded(upstream: Upstream) -> None:
    answer = upstream.hang()
    world = World(upstream, [PUBLIC], timeouts=EgressTimeouts(total_s=0.05))
    assert (await world.refusal()).reason is Reason.URL_NOT_ALLOWED
    await answer.client_left()


@pytest.mark.parametrize(
    ("status", "headers"),
    [(404, {}), (304, {}), (200, {"content-encoding": "gzip"}), (200, {"content-type": "image/png; x=y"})],
)
async def test_what_is_not_the_file_it_should_be(upstream: Upstream, status: int, headers: dict[str, str]) -> None:
    upstream.reply(b"<html>", status=status, headers=headers)
    assert (await World(upstream, [PUBLIC]).refusal()).reason is Reason.MEDIA_INVALID


async def test_other_types_are_as_declared(upstream: Upstream) -> None:
    upstream.reply(b"hello", headers={"content-type": "Text/Plain; charset=utf-8"})
    assert (await World(upstream, [PUBLIC]).fetch()).media_type == "text/plain"


async def test_a_host_that_the_operator_allows(upstream: Upstream) -> None:
    upstream.reply(PNG)
    host = f"127.0.0.1:{upstream.port}"
    egress = Egress(EgressPolicy(allow_http_hosts={host}, allow_private_hosts={host}))
    assert (await egress.fetch(f"http://{host}/", owner=None, bytes_max=100, field="url")).data == PNG
    await egress.close()


async def test_a_connection_is_kept_for_a_moment_and_nothing_else(upstream: Upstream) -> None:
    world = World(upstream, [PUBLIC])
    upstream.reply(headers={"set-cookie": "a=b"})
    upstream.reply(PNG)
    headers = {"authorization": "Bearer sesame"}
    await world.egress.post("http://img.example/", b"{}", headers, owner=TENANT, bytes_max=9, field="uri")
    await world.fetch()
    assert (world.looked_up, upstream.connections) == (["img.example"], 1)
    assert not {"authorization", "cookie"} & set(upstream.requests[1].headers)


async def test_a_kept_connection_goes_where_its_name_led_when_it_was_judged(upstream: Upstream) -> None:
    world = World(upstream, [PUBLIC], ["10.0.0.1"])
    for _ in range(2):
        upstream.reply(PNG)
        await world.fetch()
    assert world.dialled == [(PUBLIC, 80)]
    upstream.hang_up()
    assert (await world.refusal()).reason is Reason.URL_NOT_ALLOWED  # the name leads home by now
    assert (world.dialled, len(upstream.requests)) == ([(PUBLIC, 80)], 2)


async def test_a_connection_serves_one_tenant(upstream: Upstream) -> None:
    world = World(upstream, [PUBLIC], ["127.0.0.1"], [PUBLIC])
    upstream.reply(PNG)
    await world.fetch()
    assert (await world.refusal(owner=OTHER)).reason is Reason.URL_NOT_ALLOWED
    upstream.reply(PNG)
    await world.fetch(owner=OTHER)
    assert (len(world.dialled), upstream.connections) == (2, 2)


async def test_a_connection_serves_one_host_and_scheme(upstream: Upstream) -> None:
    world = World(upstream, [PUBLIC], [PUBLIC], [PUBLIC])
    for host in ("img", "other"):
        upstream.reply(PNG)
        await world.fetch(f"http://{host}.example/")
    assert (await world.refusal("https://img.example/")).reason is Reason.URL_NOT_ALLOWED  # nobody speaks TLS there
    assert world.dialled == [(PUBLIC, 80), (PUBLIC, 80), (PUBLIC, 443)]


async def test_what_one_policy_allows_another_does_not(upstream: Upstream) -> None:
    upstream.reply(PNG)
    world = World(upstream, ["10.0.0.1"], ["10.0.0.1"], policy=EgressPolicy({"img.example"}, {"img.example"}))
    await world.fetch()
    world.egress = Egress(POLICY, None, world.network)
    assert (await world.refusal()).reason is Reason.URL_NOT_ALLOWED
    assert world.dialled == [("10.0.0.1", 80)]


async def test_ways_that_nothing_goes_over_are_forgotten(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_WAYS_MIN", 2)
    ways = Ways(World(upstream, *[[PUBLIC]] * 9).network, ClientSettings(keep_alive_s=60))
    upstream.respond(lambda seen: upstream.whole(headers={"connection": "close"} if seen.path == "/" else {}))
    for number in range(9):
        target = "/kept" if number == 0 else "/"
        async with ways.asked(TENANT, WebAddress("http", f"h{number}.example", 80, target), HttpRequest("GET", target)):
            pass
    assert len(ways._ways) <= 4
    assert (TENANT, "http://h0.example") in ways._ways
    await ways.close()


async def test_a_bomb_goes_off_in_small_parts(upstream: Upstream) -> None:
    upstream.reply(gzip.compress(bytes(50_000_000)), headers={"content-encoding": "gzip"})
    world = World(upstream, [PUBLIC])
    answered = await world.egress.post("http://img.example/", b"", {}, owner=TENANT, bytes_max=5000, field="uri")
    assert answered.data == bytes(5000)
