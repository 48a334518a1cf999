"""What holds for every place where the bytes of files can lie."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.bucket import Bucket, open_bucket
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.house.filing import open_bucket as contents_of
from trunkline_server.store.bucket_contents import BucketSettings
from trunkline_server.store.contents import PIECE_BYTES, Contents
from trunkline_server.store.database import Database
from trunkline_server.store.database_contents import DatabaseContents
from trunkline_server.store.folder_contents import FolderContents


@pytest.fixture
async def bucket() -> AsyncIterator[Bucket]:
    async with open_bucket() as opened:
        yield opened


@pytest.fixture(params=("database", "folder", "bucket"))
async def contents(
    request: pytest.FixtureRequest, database: Database, bucket: Bucket, tmp_path: Path
) -> AsyncIterator[Contents]:
    places: dict[str, Contents] = {
        "database": DatabaseContents(database),
        "folder": FolderContents(tmp_path / "files"),
        "bucket": contents_of(bucket.settings),
    }
    yield places[request.param]
    for place in places.values():
        await place.close()


@pytest.mark.parametrize("data", [b"\0", b"words", bytes(range(256)) * (PIECE_BYTES // 256)], ids=len)
async def test_what_is_put_comes_back(contents: Contents, data: bytes) -> None:
    piece_id = ids.new_uuid()
    await contents.put(piece_id, data)
    assert await contents.get(piece_id) == data


async def test_each_has_its_own(contents: Contents) -> None:
    first, second = ids.new_uuid(), ids.new_uuid()
    await contents.put(first, b"first")
    await contents.put(second, b"second")
    assert (await contents.get(first), await contents.get(second)) == (b"first", b"second")


async def test_what_is_deleted_is_gone(contents: Contents) -> None:
    piece_id = ids.new_uuid()
    await contents.put(piece_id, b"words")
    await contents.delete(piece_id)
    with pytest.raises(TrunklineError) as caught:
        await contents.get(piece_id)
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    await contents.delete(piece_id)


async def test_large_objects_do_not_stay(database: Database) -> None:
    contents, piece_id = DatabaseContents(database), ids.new_uuid()
    await contents.put(piece_id, b"words")
    await contents.delete(piece_id)
    assert await database.fetchval("SELECT count(*) FROM pg_largeobject_metadata") == 0


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_a_bucket_that_fails_is_an_outage_without_its_words(bucket: Bucket, status: int) -> None:
    contents = contents_of(bucket.settings)
    bucket.failing = status
    with pytest.raises(TrunklineError) as caught:
        await contents.put(ids.new_uuid(), b"words")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert "somebody" not in f"{caught.value} {caught.value.__cause__}"
    await contents.close()


async def test_a_bucket_refuses_another_key(bucket: Bucket) -> None:
    given = bucket.settings
    contents = contents_of(BucketSettings(given.endpoint, given.bucket, given.region, "key", "wrong"))
    with pytest.raises(TrunklineError):
        await contents.put(ids.new_uuid(), b"words")
    assert bucket.objects == {}
    await contents.close()


async def test_nobody_at_the_bucket_is_an_outage() -> None:
    contents = contents_of(BucketSettings("http://127.0.0.1:1", "papers", "eu", "key", "secret"))
    with pytest.raises(TrunklineError) as caught:
        await contents.get(ids.new_uuid())
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    await contents.close()


async def test_a_folder_that_cannot_be_written_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no folder")
    with pytest.raises(TrunklineError) as caught:
        await FolderContents(tmp_path / "files").put(ids.new_uuid(), b"words")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE


async def test_a_disk_that_was_full_keeps_nothing_of_what_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    folder, piece_id = FolderContents(tmp_path), ids.new_uuid()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TrunklineError):
            await folder.put(piece_id, b"words")
    await folder.delete(piece_id)
    assert not await asyncio.to_thread(lambda: [path for path in tmp_path.rglob("*") if path.is_file()])
