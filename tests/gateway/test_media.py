"""The files of a question on their way to a provider that fetches nothing itself, over real sockets."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway import media as rules
from trunkline_server.gateway.media import CONCURRENT_MAX, Media
from trunkline_server.providers.egress import Egress
from trunkline_server.store.archive import Archive
from trunkline_server.store.database import Database
from trunkline_server.store.files import Files
from trunkline_server.store.folder_contents import FolderContents
from trunkline_server.store.vector_stores import VectorStores

GIF = b"GIF89a" + struct.pack("<HH", 3, 2) + b"\0\0\0;"
PDF = b"%PDF-1.7"
TENANT: Final = UUID(int=1)


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    return Archive(Files(database), FolderContents(tmp_path))


@pytest.fixture
async def media(upstream: Upstream, archive: Archive, database: Database) -> AsyncIterator[Media]:
    host = {f"127.0.0.1:{upstream.port}"}
    egress = Egress(EgressPolicy(allow_http_hosts=host, allow_private_hosts=host))
    yield Media(egress, archive, VectorStores(database))
    await egress.close()


def image(**blob: Any) -> content_pb2.Part:
    return content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(**blob)))


def audio(**blob: Any) -> content_pb2.Part:
    return content_pb2.Part(audio=content_pb2.AudioPart(blob=content_pb2.Blob(**blob)))


def document(**blob: Any) -> content_pb2.Part:
    return content_pb2.Part(document=content_pb2.DocumentPart(blob=content_pb2.Blob(**blob), title="Deed"))


def video(**blob: Any) -> content_pb2.Part:
    return content_pb2.Part(video=content_pb2.VideoPart(blob=content_pb2.Blob(**blob)))


def text(words: str) -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart(text=words))


def within_result(*parts: content_pb2.Part) -> content_pb2.Part:
    return content_pb2.Part(tool_result=content_pb2.ToolResultPart(call_id="c", parts=parts))


def question(*parts: content_pb2.Part) -> chat_pb2.ChatInput:
    return chat_pb2.ChatInput(model="m", messages=[content_pb2.Message(role=content_pb2.ROLE_USER, parts=parts)])


def served(upstream: Upstream, body: bytes, media_type: str) -> None:
    upstream.reply(body, headers={"content-type": media_type})


@pytest.mark.parametrize(
    "part",
    [
        text("Hi"),
        image(data=GIF, media_type="image/gif"),
        image(file_id="f"),
        video(uri="https://example.com/a.mp4"),
        content_pb2.Part(document=content_pb2.DocumentPart(text="words")),
        within_result(text("Hi")),
    ],
    ids=["text", "typed picture", "file", "film", "text document", "result"],
)
async def test_the_same_object_when_nothing_is_to_do(media: Media, part: content_pb2.Part) -> None:
    for takes_urls in (True, False):
        input = question(part)
        assert await media.inline(TENANT, input, takes_urls=takes_urls) is input


async def test_addresses_stay_for_a_provider_that_takes_them(media: Media, upstream: Upstream) -> None:
    input = question(image(uri=f"{upstream.url}/a.gif"))
    assert await media.inline(TENANT, input, takes_urls=True) is input
    assert upstream.requests == []


async def test_brings_every_kind_from_every_place(media: Media, upstream: Upstream) -> None:
    bodies = {"/a": (GIF, "image/gif"), "/b": (PDF, "application/pdf"), "/c": (b"RIFF", "audio/wav")}
    upstream.respond(lambda seen: upstream.whole(bodies[seen.path][0], headers={"content-type": bodies[seen.path][1]}))
    far = [image(uri=f"{upstream.url}/a"), document(uri=f"{upstream.url}/b"), audio(uri=f"{upstream.url}/c")]
    input = question(text("See"), *far, within_result(far[0]))
    before = input.SerializeToString()
    whole = await media.inline(TENANT, input, takes_urls=False)
    assert input.SerializeToString() == before
    assert whole == question(
        text("See"),
        image(data=GIF, media_type="image/gif"),
        document(data=PDF, media_type="application/pdf"),
        audio(data=b"RIFF", media_type="audio/wav"),
        within_result(image(data=GIF, media_type="image/gif")),
    )


@pytest.mark.parametrize("takes_urls", [True, False])
async def test_tells_the_type_of_bytes_that_were_given_without(media: Media, takes_urls: bool) -> None:
    input = question(image(data=GIF), document(data=PDF), within_result(image(data=GIF, media_type="Image/GIF; x=y")))
    whole = await media.inline(TENANT, input, takes_urls=takes_urls)
    assert whole == question(
        image(data=GIF, media_type="image/gif"),
        document(data=PDF, media_type="application/pdf"),
        within_result(image(data=GIF, media_type="image/gif")),
    )
    assert not input.messages[0].parts[0].image.blob.media_type


async def test_a_server_that_knows_no_type_is_not_believed(media: Media, upstream: Upstream) -> None:
    served(upstream, b"a,b", "application/octet-stream")
    whole = await media.inline(TENANT, question(document(uri=upstream.url, media_type="text/csv")), takes_urls=False)
    assert whole == question(document(data=b"a,b", media_type="text/csv"))


@pytest.mark.parametrize(
    ("part", "answer", "reason"),
    [
        (image, (b"<svg/>", "image/svg+xml"), Reason.MEDIA_INVALID),
        (image, (GIF[:8], "image/gif"), Reason.MEDIA_INVALID),
        (image, (b"GIF89a" + b"\xff" * 20, "image/gif"), Reason.MEDIA_INVALID),
        (image, (b"", "image/gif"), Reason.MEDIA_INVALID),
        (document, (GIF, "application/pdf"), Reason.MEDIA_INVALID),
        (audio, (b"x", "application/octet-stream"), Reason.VALIDATION),
    ],
    ids=["svg", "cut off", "bomb", "empty", "no pdf", "no type"],
)
async def test_what_was_fetched_is_judged_like_what_was_sent(
    media: Media, upstream: Upstream, part: Any, answer: tuple[bytes, str], reason: Reason
) -> None:
    served(upstream, *answer)
    with pytest.raises(TrunklineError) as caught:
        await media.inline(TENANT, question(text("See"), part(uri=upstream.url)), takes_urls=False)
    assert caught.value.reason is reason
    assert caught.value.violations[0].field.startswith("input.messages[0].parts[1].")


async def test_another_type_than_declared_is_refused(media: Media, upstream: Upstream) -> None:
    served(upstream, GIF, "image/gif")
    with pytest.raises(TrunklineError, match="declares"):
        await media.inline(TENANT, question(image(uri=upstream.url, media_type="image/png")), takes_urls=False)


async def test_private_addresses_are_refused_by_their_path(media: Media) -> None:
    with pytest.raises(TrunklineError) as caught:
        await media.inline(TENANT, question(within_result(image(uri="https://127.0.0.1:1/"))), takes_urls=False)
    assert caught.value.reason is Reason.URL_NOT_ALLOWED
    assert caught.value.violations[0].field == "input.messages[0].parts[0].tool_result.parts[0].image.blob.uri"


async def test_one_failure_ends_the_other_fetches(media: Media, upstream: Upstream) -> None:
    slow = upstream.hang()
    failing = asyncio.create_task(
        media.inline(TENANT, question(image(uri=upstream.url), image(uri=f"{upstream.url}/bad")), takes_urls=False)
    )
    await slow.asked()
    with pytest.raises(TrunklineError):
        await failing
    await slow.client_left()


async def test_fetches_a_few_at_once(media: Media, upstream: Upstream) -> None:
    go = asyncio.Event()
    answers = [
        upstream.stream([go, GIF], headers={"content-type": "image/gif"}, content_type="image/gif")
        for _ in range(CONCURRENT_MAX + 2)
    ]
    fetching = asyncio.create_task(
        media.inline(TENANT, question(*[image(uri=upstream.url)] * len(answers)), takes_urls=False)
    )
    for waiting in answers[:CONCURRENT_MAX]:
        await waiting.asked()
    assert len(upstream.requests) == CONCURRENT_MAX
    go.set()
    whole = await fetching
    assert all(part.image.blob.data == GIF for part in whole.messages[0].parts)


async def test_too_many_addresses(media: Media, upstream: Upstream) -> None:
    parts = [image(uri=upstream.url)] * (rules.FILES_MAX + 1)
    with pytest.raises(TrunklineError, match="at most"):
        await media.inline(TENANT, question(*parts), takes_urls=False)
    assert upstream.requests == []


async def test_too_many_bytes_in_one_and_together(
    media: Media, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "TOTAL_BYTES_MAX", len(GIF) + 1)
    for _ in range(2):
        served(upstream, GIF, "image/gif")
    with pytest.raises(TrunklineError, match="together") as caught:
        await media.inline(TENANT, question(image(uri=upstream.url), image(uri=upstream.url)), takes_urls=False)
    assert caught.value.reason is Reason.MEDIA_INVALID
    monkeypatch.setitem(rules.BYTES_MAX, "image", len(GIF) - 1)
    served(upstream, GIF, "image/gif")
    with pytest.raises(TrunklineError, match="larger than"):
        await media.inline(TENANT, question(image(uri=upstream.url)), takes_urls=False)
