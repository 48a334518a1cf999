"""The guarded fetch against a real socket, a resolver that lies, and a network that tells what was dialled."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence

import httpcore
import pytest

from tests.fixtures.upstream import CLOSE, Upstream
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.providers.egress import Egress, EgressTimeouts, Fetched
from trunkline_server.providers.guard import SocketOption

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
PUBLIC = "93.184.216.34"
POLICY = EgressPolicy(allow_http_hosts={"img.example", "other.example"})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


class Network(httpcore.AnyIOBackend):
    """Leads every dial to the upstream, and remembers where it should have gone."""

    def __init__(self, upstream: Upstream) -> None:
        self.dialled: list[tuple[str, int]] = []
        self._port = upstream.port

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the library's signature
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append((host, port))
        return await super().connect_tcp("127.0.0.1", self._port, timeout, local_address, socket_options)


class World:
    """A guarded client, its network, and a resolver that gives one scripted list of answers after another."""

    def __init__(self, upstream: Upstream, *answers: Sequence[str], timeouts: EgressTimeouts | None = None) -> None:
        self.network = Network(upstream)
        self.looked_up: list[str] = []
        self._answers = list(answers)
        self.egress = Egress(POLICY, timeouts, self._resolve, self.network)

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        return self._answers.pop(0)

    async def fetch(self, url: str = "http://img.example/a.png?b=c", bytes_max: int = 1000) -> Fetched:
        try:
            return await self.egress.fetch(url, bytes_max=bytes_max, field="image.url")
        finally:
            await self.egress.close()

    async def refusal(self, url: str = "http://img.example/", bytes_max: int = 1000) -> TrunklineError:
        with pytest.raises(TrunklineError) as caught:
            await self.fetch(url, bytes_max)
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
    world = World(upstream, [PUBLIC], ["127.0.0.1"])
    await world.fetch()
    assert (world.looked_up, world.network.dialled) == (["img.example"], [(PUBLIC, 80)])
    assert (await world.refusal()).reason is Reason.URL_NOT_ALLOWED  # the name leads home the second time
    assert len(world.network.dialled) == 1


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
    assert not world.network.dialled


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
    assert world.network.dialled == [(PUBLIC, 80)]


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
    assert (await egress.fetch(f"http://{host}/", bytes_max=100, field="url")).data == PNG
    await egress.close()


def test_the_library_is_loaded_with_the_first_fetch() -> None:
    code = "import sys, trunkline_server.providers.egress; sys.exit('httpcore' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
