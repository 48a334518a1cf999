"""Vectors in which texts that share words lie near each other, and documents ordered by the words of the query."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from trunkline_server.providers.sandbox.script import Script
from trunkline_server.providers.sandbox.work import Made, Task, Workshop, input_usage, read

DIMENSIONS: Final = 256
WORD: Final = re.compile(r"\w+")
DIGEST_BYTES: Final = 32

Texts: TypeAlias = Annotated[list[str], msgspec.Meta(min_length=1, max_length=2048)]


class Question(Task, frozen=True, kw_only=True):
    """Texts to be turned into vectors."""

    input: Texts | str
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=65_536)] | None = None
    encoding_format: Literal["float", "base64"] = "float"


class Search(Task, frozen=True, kw_only=True):
    """A query, and where to look."""

    query: str
    documents: Annotated[list[str], msgspec.Meta(min_length=1)]
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None


def embeddings(body: bytes, script: Script) -> Made:
    """The answer to a question for vectors. A word is a token."""
    asked = read(Question, body)
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    data = [
        {"object": "embedding", "index": place, "embedding": _spelled(text, asked)} for place, text in enumerate(texts)
    ]
    usage = input_usage(script, sum(len(text.split()) for text in texts))
    return Made({"object": "list", "data": data, "model": asked.model, **usage}, len(texts))


def ranking(body: bytes, script: Script) -> Made:
    """The answer to a search: the share of the query's words that a document has. One search is charged."""
    asked = read(Search, body)
    wanted = words(asked.query)
    scored = [
        (len(wanted & words(document)) / max(1, len(wanted)), place) for place, document in enumerate(asked.documents)
    ]
    best = sorted(scored, key=lambda each: (-each[0], each[1]))[: asked.top_n]
    results = [{"index": place, "relevance_score": score} for score, place in best]
    usage = {} if script.usage is None else {"usage": {"search_units": 1}}
    return Made({"model": asked.model, "results": results, **usage}, len(asked.documents))


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A unit vector: the sum of those of its words, each of which points its own way."""
    values = [0.0] * dimensions
    for place, sign in _steps(WORD.findall(text.lower()), dimensions):
        values[place] += sign
    length = math.hypot(*values)
    return [value / length for value in values] if length else [1.0, *values[1:]]


def words(text: str) -> set[str]:
    return set(WORD.findall(text.lower()))


def _steps(said: Iterable[str], dimensions: int) -> Iterator[tuple[int, float]]:
    for word in said:
        digest = blake2b(word.encode(errors="replace"), digest_size=DIGEST_BYTES).digest()
        for (number,) in struct.iter_unpack("<I", digest):
            yield (number >> 1) % dimensions, 1.0 if number & 1 else -1.0


def _spelled(text: str, asked: Question) -> list[float] | str:
    numbers = vector(text, asked.dimensions or DIMENSIONS)
    if asked.encoding_format == "float":
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


EMBEDDING: Final = Workshop({"embed": {}}, embeddings)
RERANK: Final = Workshop({"rerank": {}}, ranking)
