"""Thoughts in an answer. The whole item is their state: it holds the cipher that the provider wants back."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline.v1 import content_pb2
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_responses.floor import Floor
from trunkline_server.wire.openai_responses.shapes import CONTENT, Item

PARAGRAPH: Final = "\n\n"


class Reasoning:
    """Thoughts, or paragraphs of their summary."""

    __slots__ = ("_floor", "_place", "_shown")

    def __init__(self, floor: Floor, index: int, item: Item) -> None:  # noqa: ARG002 - other kinds need them
        self._floor = floor
        self._place: tuple[str, int] | None = None
        self._shown = False

    def hear(self, text: str, place: tuple[str, int]) -> None:
        """More of the thoughts; `place` is the paragraph."""
        if self._place != place:
            parted = self._place is not None
            self._floor.give(self)
            self._floor.answer.reasoning(PARAGRAPH if parted else "")
            self._place = place
            self._shown = True
        self._floor.answer.reasoning(text)

    def interrupt(self) -> None:
        self._floor.answer.close_part()
        self._place = None

    def end(self, item: Item, raw: msgspec.Raw) -> None:
        if not self._shown:
            self._tell(item)
        if self._place is not None:
            self._floor.answer.state(self._floor.state(bytes(raw), item.id))
            self._floor.give(None)
        elif item.encrypted_content:
            hidden = content_pb2.ReasoningPart(redacted=True)
            self._floor.show(content_pb2.Part(reasoning=hidden, provider_state=self._floor.state(bytes(raw), item.id)))

    def _tell(self, item: Item) -> None:
        blocks = [*(item.summary or ()), *(dialect.parse(CONTENT, block) for block in item.content or ())]
        for index, block in enumerate(blocks):
            if block.text:
                self.hear(block.text, (block.type, index))
