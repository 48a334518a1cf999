"""From the settings to files: where their bytes lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trunkline_server.config import Settings
from trunkline_server.house.ground import Ground
from trunkline_server.house.start import StartError
from trunkline_server.providers.client import ClientSettings, HttpTransport
from trunkline_server.store.archive import Archive
from trunkline_server.store.bucket_contents import BucketContents, BucketSettings
from trunkline_server.store.contents import PUT_S_MAX, Contents
from trunkline_server.store.database import Database
from trunkline_server.store.database_contents import DatabaseContents
from trunkline_server.store.files import Files
from trunkline_server.store.folder_contents import FolderContents

BUCKET_CONNECTIONS_MAX: Final = 16


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
            return open_bucket(
                BucketSettings(
                    endpoint=given.bucket_endpoint,
                    bucket=given.bucket,
                    region=given.bucket_region,
                    access_key=given.bucket_access_key,
                    secret_key=given.bucket_secret_key,
                    prefix=given.bucket_prefix,
                )
            )


def open_bucket(settings: BucketSettings) -> BucketContents:
    """Raises StartError. A piece has as long as it may take to be put."""
    patience = ClientSettings(read_timeout_s=PUT_S_MAX, connections_max=BUCKET_CONNECTIONS_MAX)
    try:
        transport = HttpTransport(settings.endpoint, {"accept-encoding": "identity"}, patience)
    except ValueError as error:
        raise StartError(f"files.bucket_endpoint: {error}") from None
    return BucketContents(settings, transport)
