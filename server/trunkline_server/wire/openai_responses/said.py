"""Messages in an answer: text, refusals and citations. Each piece of a message's content is a part."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_responses.floor import Floor
from trunkline_server.wire.openai_responses.shapes import ANNOTATION, CONTENT, TOKENS, Content, Item, Token

OFFSET_MAX: Final = 2**31 - 1
NOWHERE: Final = -1


class Message:
    """The phase, where a server tells one, is the state of each part."""

    __slots__ = ("_floor", "_item", "_place", "_told")

    def __init__(self, floor: Floor, index: int, item: Item) -> None:  # noqa: ARG002 - other kinds need the index
        self._floor = floor
        self._item = item
        self._place = NOWHERE
        self._told: set[int] = set()

    def hear(self, text: str, place: int) -> None:
        """More of a text."""
        if self._place != place:
            self._take(place)
        self._floor.answer.text(text)

    def refuse(self, text: str, place: int) -> None:
        """More of a refusal."""
        if self._place != place:
            self._take(place)
        self._floor.answer.refusal(text)

    def cite(self, annotation: msgspec.Raw, place: int) -> None:
        """A source of a text."""
        if self._place != place:
            self._take(place)
        self._floor.answer.citation(_citation(annotation))

    def weigh(self, tokens: msgspec.Raw) -> None:
        """How likely the tokens of the text were."""
        heard: list[Token] = dialect.parse(TOKENS, tokens)
        self._floor.answer.logprobs(map(_token, heard))

    def interrupt(self) -> None:
        if self._item.phase:
            self._floor.answer.state(self._floor.state(self._item.phase.encode(), self._item.id))
        self._floor.answer.close_part()
        self._place = NOWHERE

    def end(self, item: Item, raw: msgspec.Raw) -> None:  # noqa: ARG002 - other kinds keep the item as it is
        self._item = item
        for place, block in enumerate(item.content or ()):
            if place not in self._told:
                self._tell(dialect.parse(CONTENT, block), block, place)
        if self._place != NOWHERE:
            self._floor.give(None)

    def _take(self, place: int) -> None:
        if self._place != NOWHERE:
            self.interrupt()
        self._floor.give(self)
        self._place = place
        self._told.add(place)

    def _tell(self, content: Content, raw: msgspec.Raw, place: int) -> None:
        match content.type:
            case "output_text":
                self._tell_text(content, place)
            case "refusal":
                self.refuse(content.refusal or "", place)
            case _:
                self._floor.show_raw(content.type, raw)

    def _tell_text(self, content: Content, place: int) -> None:
        if content.text:
            self.hear(content.text, place)
        for annotation in content.annotations or ():
            self.cite(annotation, place)
        self._floor.answer.logprobs(map(_token, content.logprobs or ()))


def _citation(raw: msgspec.Raw) -> content_pb2.Citation:
    told = dialect.parse(ANNOTATION, raw)
    return content_pb2.Citation(
        title=told.title or told.filename or "",
        uri=told.url or "",
        start_index=_offset(told.index if told.start_index is None else told.start_index),
        end_index=_offset(told.end_index),
        provider_json=dialect.verbatim(raw),
    )


def _offset(told: float | None) -> int:
    return min(dialect.count(told), OFFSET_MAX)


def _token(token: Token) -> chat_pb2.TokenLogprob:
    alternatives = [_token(each) for each in token.top_logprobs or ()]
    return chat_pb2.TokenLogprob(token=token.token, logprob=token.logprob or 0.0, alternatives=alternatives)
