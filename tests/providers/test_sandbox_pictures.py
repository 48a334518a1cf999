"""The sandbox's pictures and films, through the real crafts."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import pytest

from tests.wire.pictures import OTHER, PNG, blob, film, picture
from trunkline.v1 import images_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.media import check_image
from trunkline_server.core.operation import Operation
from trunkline_server.core.product import Product
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport
from trunkline_server.providers.sandbox.film import mp4
from trunkline_server.providers.sandbox.png import SIDE_MAX, png
from trunkline_server.wire import films
from trunkline_server.wire.craft import Pending
from trunkline_server.wire.http import HttpRequest

MAKE: Any = SANDBOX.crafts[Operation.IMAGE]
EDIT: Any = SANDBOX.crafts[Operation.IMAGE_EDIT]
FILM: Any = SANDBOX.crafts[Operation.VIDEO]


def sandbox() -> Upstream:
    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    return Upstream(SANDBOX, SandboxTransport(ClientSettings(), at_once))


async def made(craft: Any, errand: Any, upstream: Upstream | None = None) -> Any:
    return (await (upstream or sandbox()).make(craft, errand)).body.images


async def failed(errand: Any, upstream: Upstream | None = None) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await made(MAKE, errand, upstream)
    return caught.value


def script(**lines: object) -> dict[str, object]:
    return {"script": lines}


async def test_the_same_words_make_the_same_picture() -> None:
    first, again = await made(MAKE, picture("picture")), await made(MAKE, picture("picture"))
    assert first == again
    other = await made(MAKE, picture("picture", prompt="a dog"))
    assert other[0].blob.data != first[0].blob.data
    assert first[0].revised_prompt == "a cat"


async def test_every_picture_is_another() -> None:
    images = await made(MAKE, picture("picture", image_count=3, size="8x8"))
    seeded = await made(MAKE, picture("picture", size="8x8", seed=1))
    assert len({image.blob.data for image in [*images, *seeded]}) == 4


@pytest.mark.parametrize(("size", "sides"), [("", (1024, 1024)), ("33x7", (33, 7)), ("99999x16", (SIDE_MAX, 16))])
async def test_it_is_a_real_picture_of_that_size(size: str, sides: tuple[int, int]) -> None:
    (image,) = await made(MAKE, picture("picture", size=size))
    data = image.blob.data
    assert check_image(data, image.blob.media_type, "blob") == "image/png"
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == sides
    start, length = data.index(b"IDAT"), int.from_bytes(data[data.index(b"IDAT") - 4 : data.index(b"IDAT")])
    pixels = zlib.decompress(data[start + 4 : start + 4 + length])
    assert len(pixels) == sides[1] * (1 + (sides[0] + 1) // 2)
    assert int.from_bytes(data[start + 4 + length : start + 8 + length]) == zlib.crc32(data[start : start + 4 + length])


async def test_what_is_changed_depends_on_what_it_was() -> None:
    one = await made(EDIT, picture("picture", images=[blob()]))
    other = await made(EDIT, picture("picture", images=[blob(OTHER)]))
    fresh = await made(MAKE, picture("picture"))
    assert len({each[0].blob.data for each in (one, other, fresh)}) == 3
    assert PNG not in {each[0].blob.data for each in (one, other, fresh)}
    varied = picture("picture", images=[blob()], edit=images_pb2.IMAGE_EDIT_VARIATION)
    assert len(await made(EDIT, varied)) == 1


async def test_an_address_where_one_is_wanted() -> None:
    (image,) = await made(MAKE, picture("picture", as_uri=True))
    assert image.blob.uri.startswith("https://sandbox.invalid/")


async def test_nothing_is_reported_so_pictures_are_counted() -> None:
    assert (await sandbox().make(MAKE, picture("picture"))).usage is None


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ({"status": 500}, FailureKind.TRANSIENT),
        ({"status": 429, "retry_after": "3"}, FailureKind.THROTTLED),
        ({"status": 400, "code": "moderation_blocked"}, FailureKind.FILTERED),
        ({"unreachable": True}, FailureKind.NEVER_SENT),
        ({"malformed": "html"}, FailureKind.BROKEN),
        ({"malformed": "types"}, FailureKind.BROKEN),
        ({"cut_after": 1}, FailureKind.BROKEN),
        ({"reset_after": 1}, FailureKind.INTERRUPTED),
        ({"stall_after": 1}, FailureKind.TIMEOUT_IDLE),
        ({"error_in_stream": 1, "code": "server_error"}, FailureKind.TRANSIENT),
        ({"head_ms": 86_400_000}, FailureKind.AMBIGUOUS),
        ({"nonsense": 1}, FailureKind.INVALID),
    ],
)
async def test_it_is_as_unkind_as_its_script_says(lines: dict[str, object], kind: FailureKind) -> None:
    failure = await failed(picture("picture", script(**lines)))
    assert failure.kind is kind


async def test_trouble_that_passes() -> None:
    upstream, errand = sandbox(), picture("picture", script(status=500, times=1))
    assert (await failed(errand, upstream)).kind is FailureKind.TRANSIENT
    assert await made(MAKE, errand, upstream)
    assert (await failed(picture("flaky"), upstream)).kind is FailureKind.TRANSIENT
    assert await made(MAKE, picture("flaky"), upstream)


async def test_a_model_that_is_not_there() -> None:
    assert (await failed(picture("nobody"))).kind is FailureKind.MODEL_UNKNOWN


async def test_a_large_body_is_still_an_answer() -> None:
    assert await made(MAKE, picture("picture", script(big_body=200_000), size="8x8"))


async def watched(upstream: Upstream, errand: Any) -> tuple[int, Product[Any]]:
    """How often a film was not there yet, and the film."""
    operation = await upstream.submit(FILM, errand)
    for polls in range(10):
        state = await upstream.poll(FILM, errand, operation)
        if not isinstance(state, Pending):
            return polls, state
    raise AssertionError("it never came")


@pytest.mark.parametrize(("options", "polls"), [({}, 2), (script(polls=0), 0), (script(polls=5), 5)])
async def test_a_film_takes_its_time(options: dict[str, object], polls: int) -> None:
    errand = film("film", 8, image=blob())
    errand.options = options
    waited, product = await watched(sandbox(), errand)
    (video,) = product.body.videos
    assert (waited, video.blob.media_type, video.duration.seconds) == (polls, "video/mp4", 8)
    assert video.blob.data[4:8] == b"ftyp"
    assert product.usage is not None
    assert dict(product.usage.unit_counts) == {"video_ms": 8000}


async def test_a_film_outlives_a_restart() -> None:
    errand = film("film")
    operation = await sandbox().submit(FILM, errand)
    assert await sandbox().poll(FILM, errand, operation) == Pending()


async def test_a_film_fails_in_the_end() -> None:
    upstream, errand = sandbox(), film("film")
    errand.options = script(polls=1, error_in_stream=0, code="moderation_blocked")
    operation = await upstream.submit(FILM, errand)
    assert await upstream.poll(FILM, errand, operation) == Pending()
    with pytest.raises(UpstreamFailure) as caught:
        await upstream.poll(FILM, errand, operation)
    assert caught.value.kind is FailureKind.FILTERED


@pytest.mark.parametrize("lines", [{"status": 503}, {"status": 503, "error_in_stream": 0}])
async def test_a_film_is_not_even_begun(lines: dict[str, object]) -> None:
    errand = film("film")
    errand.options = script(**lines)
    with pytest.raises(UpstreamFailure) as caught:
        await sandbox().submit(FILM, errand)
    assert caught.value.kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("name", ["video_x", "video_" + "e30", "else"])
async def test_a_film_that_never_was(name: str) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        await sandbox().poll(FILM, film("film"), films.keep(name))
    assert caught.value.http_status == 404


@pytest.mark.parametrize("path", ["/images/generations", "/videos"])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"model": 7}', b"\xff", json.dumps({"prompt": "x"}).encode()])
async def test_a_request_that_is_none(path: str, body: bytes) -> None:
    transport = SandboxTransport()
    async with transport.open(HttpRequest("POST", path, {}, body)) as response:
        assert response.status == 400
    await transport.close()


def test_it_makes_nothing_larger() -> None:
    with pytest.raises(TrunklineError) as refused:
        EDIT.encode(picture("picture", images=[blob()], edit=images_pb2.IMAGE_EDIT_UPSCALE))
    assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED


def test_boxes_of_a_film_add_up() -> None:
    data, place, kinds = mp4("words", 8), 0, []
    while place < len(data):
        kinds.append(data[place + 4 : place + 8])
        place += int.from_bytes(data[place : place + 4])
    assert (place, kinds) == (len(data), [b"ftyp", b"moov", b"mdat"])
    assert len(png("x", 1, 1)) < 200
