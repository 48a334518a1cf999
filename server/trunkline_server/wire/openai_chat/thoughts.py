"""Thoughts in an answer. Some servers send blocks of their own with them (signatures, ciphers) and want those back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.wire import dialect

BLOCK: Final = msgspec.json.Decoder(dict[str, Any])
GROWING: Final = ("text", "summary", "data")  # the fields of a block that come in fragments


@dataclass(slots=True)
class _Thought:
    """What was thought since something else was said."""

    shown: bool = False
    blocks: list[dict[str, Any]] = field(default_factory=list)


class Thoughts:
    """Blocks are kept until the thoughts end: then they are the state of the part."""

    __slots__ = ("_answer", "_provider", "going")

    def __init__(self, provider: str, answer: Answer) -> None:
        self._provider = provider
        self._answer = answer
        self.going: dict[int, _Thought] = {}

    def hear(self, text: str | None, blocks: Sequence[msgspec.Raw] | None, candidate: int) -> None:
        thought = self.going.setdefault(candidate, _Thought())
        if text:
            self._answer.reasoning(text, candidate)
            thought.shown = True
        for block in blocks or ():
            _join(thought.blocks, dialect.parse(BLOCK, block))

    def end(self, candidate: int) -> None:
        """Something else is said now."""
        thought = self.going.pop(candidate, None)
        if thought is None or not thought.blocks:
            return
        state = content_pb2.ProviderState(
            provider=self._provider, model=self._answer.model, data=orjson.dumps(thought.blocks)
        )
        if thought.shown:
            self._answer.state(state, candidate)
        else:
            hidden = content_pb2.ReasoningPart(redacted=True)
            self._answer.part(content_pb2.Part(reasoning=hidden, provider_state=state), candidate)


def _join(blocks: list[dict[str, Any]], fragment: dict[str, Any]) -> None:
    """Fragments of one block have its place and type."""
    last = blocks[-1] if blocks else {}
    if fragment.get("index") is None or any(last.get(key) != fragment.get(key) for key in ("index", "type")):
        blocks.append(fragment)
        return
    for key, value in fragment.items():
        grows = key in GROWING and isinstance(value, str) and isinstance(last.get(key), str)
        if value is not None:
            last[key] = last[key] + value if grows else value
