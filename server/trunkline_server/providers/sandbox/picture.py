"""Pictures by the sandbox, in the dialect of OpenAI's images API; what is changed also depends on what it was."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Annotated, Final, TypeAlias

import msgspec
import orjson

from trunkline_server.providers.sandbox.play import told
from trunkline_server.providers.sandbox.png import png
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.reply import Reply
from trunkline_server.providers.sandbox.script import Script
from trunkline_server.providers.sandbox.turn import CREATED_S

FindScript: TypeAlias = Callable[[str, Mapping[str, object], bytes], tuple[Script, str]]

SIDE: Final = 1024


class Wanted(msgspec.Struct, frozen=True):
    """The fields that change what the sandbox does; others are skipped."""

    model: str
    prompt: str = ""
    n: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    size: Annotated[str, msgspec.Meta(pattern=r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})?$")] = ""
    response_format: str = "b64_json"
    seed: int | None = None
    images: list[dict[str, str]] | None = None
    script: dict[str, object] | None = None

    @property
    def sides(self) -> tuple[int, int]:
        wide, cross, high = self.size.partition("x")
        return (int(wide), int(high)) if cross else (SIDE, SIDE)


_WANTED: Final = msgspec.json.Decoder(Wanted)


def answered(body: bytes, find_script: FindScript) -> Reply:
    """The pictures. Raises Refusal."""
    try:
        wanted = _WANTED.decode(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "invalid_request", "the body is not a request for pictures") from error
    script, digest = find_script(wanted.model, wanted.script or {}, body)
    data = [_picture(wanted, place, digest) for place in range(wanted.n)]
    return told(script, orjson.dumps({"created": CREATED_S, "data": data}))


def _picture(wanted: Wanted, place: int, digest: str) -> dict[str, str]:
    if wanted.response_format == "url":
        return {"url": f"https://sandbox.invalid/pictures/{digest}-{place}.png"}
    before = blake2b(orjson.dumps(wanted.images), digest_size=12).hexdigest() if wanted.images else ""
    words = f"{wanted.prompt}|{before}|{wanted.seed}|{place}"
    return {"b64_json": b64encode(png(words, *wanted.sides)).decode(), "revised_prompt": wanted.prompt}
