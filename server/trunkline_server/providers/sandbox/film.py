"""Films by the sandbox, in the dialect of OpenAI's videos API. All that is known of a film stands in its id."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from typing import Annotated, Final

import msgspec
import orjson

from trunkline_server.providers.sandbox import reply as replies
from trunkline_server.providers.sandbox.picture import FindScript
from trunkline_server.providers.sandbox.play import told, troubled
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.reply import Piece, Reply
from trunkline_server.providers.sandbox.turn import CREATED_S

PREFIX: Final = "video_"
FILMS_MAX: Final = 10_000
SECONDS: Final = 4


class Wanted(msgspec.Struct, frozen=True):
    """The fields that change what the sandbox does; others are skipped."""

    model: str
    prompt: str = ""
    seconds: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,3}$")] = str(SECONDS)
    script: dict[str, object] | None = None


class Film(msgspec.Struct, frozen=True, array_like=True):
    """A film: how often it says that it is not there yet, how long it is, whether it fails with which word."""

    digest: str
    polls: int
    seconds: int
    fails: bool
    code: str


_WANTED: Final = msgspec.json.Decoder(Wanted)
_FILM: Final = msgspec.json.Decoder(Film)


class Films:
    """Remembers how often each was asked after; after a restart that begins anew."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, int] = OrderedDict()

    def begun(self, body: bytes, find_script: FindScript) -> Reply:
        """A film is begun; an error `inside the answer` comes when it would be there. Raises Refusal."""
        try:
            wanted = _WANTED.decode(body)
        except (ValueError, RecursionError) as error:
            raise Refusal(400, "invalid_request", "the body is not a request for a film") from error
        script, digest = find_script(wanted.model, wanted.script or {}, body)
        fails = script.fault.kind == "error_in_stream"
        film = Film(digest, script.polls, int(wanted.seconds) or SECONDS, fails, script.code)
        data = orjson.dumps(_told(film, "queued"))
        return (troubled(script) or replies.body(orjson.Fragment(data))) if fails else told(script, data)

    def shown(self, path: str) -> Reply:
        """How far a film is, or the film. Raises Refusal."""
        name, _, part = path.removeprefix("/videos/").partition("/")
        film = _read(name)
        if part == "content" and not film.fails:
            return Reply(200, {"content-type": "video/mp4"}, [Piece(mp4(film.digest, film.seconds))])
        if part:
            raise Refusal(404, "not_found", "there is no such film")
        return replies.body(self._progress(name, film))

    def _progress(self, name: str, film: Film) -> dict[str, object]:
        asked = self._asked.pop(name, 0)
        self._asked[name] = asked + 1
        if len(self._asked) > FILMS_MAX:
            self._asked.popitem(last=False)
        if asked < film.polls:
            return _told(film, "in_progress", asked * 100 // film.polls)
        if film.fails:
            return _told(film, "failed", 99) | {
                "error": {"code": film.code or "server_error", "message": "told to fail"}
            }
        return _told(film, "completed", 100)


def mp4(words: str, seconds: int) -> bytes:
    """The frame of an MP4 with its length, around no pictures at all."""
    times = struct.pack(">IIIII", 0, 0, 0, 1000, seconds * 1000)
    shape = struct.pack(">IH10x9I24xI", 0x10000, 0x100, 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000, 1)
    kind = b"isom\x00\x00\x02\x00isomiso2mp41"
    return _box(b"ftyp", kind) + _box(b"moov", _box(b"mvhd", times + shape)) + _box(b"mdat", words.encode())


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + kind + data


def _told(film: Film, status: str, progress: int = 0) -> dict[str, object]:
    return {
        "id": PREFIX + urlsafe_b64encode(orjson.dumps(msgspec.to_builtins(film))).decode().rstrip("="),
        "object": "video",
        "created_at": CREATED_S,
        "status": status,
        "progress": progress,
        "seconds": str(film.seconds),
    }


def _read(name: str) -> Film:
    text = name.removeprefix(PREFIX)
    try:
        return _FILM.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError) as error:
        raise Refusal(404, "not_found", "there is no such film") from error
