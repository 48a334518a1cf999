"""From the settings to files: where their bytes lie."""

from __future__ import annotations

from pathlib import Path

from trunkline_server.config import Settings
from trunkline_server.house.ground import Ground
from trunkline_server.store.archive import Archive
from trunkline_server.store.bucket_contents import BucketContents, BucketSettings
from trunkline_server.store.contents import Contents
from trunkline_server.store.database import Database
from trunkline_server.store.database_contents import DatabaseContents
from trunkline_server.store.files import Files
from trunkline_server.store.folder_contents import FolderContents


def open_archive(ground: Ground) -> Archive:
    """Nothing is asked before a file comes."""
    contents = _contents(ground.settings, ground.database)
    ground.stack.push_async_callback(contents.close)
    return Archive(Files(ground.database), contents)


def _contents(settings: Settings, database: Database) -> Contents:
    given = settings.files
    match given.store:
        case "database":
            return DatabaseContents(database)
        case "folder":
            return FolderContents(Path(given.folder) if given.folder else settings.data_path / "files")
        case "bucket":
            return BucketContents(
                BucketSettings(
                    endpoint=given.bucket_endpoint,
                    bucket=given.bucket,
                    region=given.bucket_region,
                    access_key=given.bucket_access_key,
                    secret_key=given.bucket_secret_key,
                    prefix=given.bucket_prefix,
                )
            )
