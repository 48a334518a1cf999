"""Texts of answers that are no chat.

What runs on over several fields, as sentences and words of a recording do, is looked through as one text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from google.protobuf.message import Message

from trunkline.v1 import audio_pb2, images_pb2
from trunkline_server.core.guard.pipe import passed
from trunkline_server.core.guard.screen import Replace, Screen
from trunkline_server.core.guard.span import Finder, Span

_GAP: Final = " "
_MARK: Final = "\ue000"
"""Stands for what was found, in a text that has none of it."""


class Row(NamedTuple):
    """Messages whose `field` makes one text. `repeats`: the words of the row before, once more."""

    messages: Sequence[Message]
    field: str
    repeats: bool = False

    @property
    def texts(self) -> list[str]:
        return [getattr(message, self.field) for message in self.messages]

    def write(self, texts: Sequence[str]) -> None:
        for message, text in zip(self.messages, texts, strict=True):
            if text != getattr(message, self.field):
                setattr(message, self.field, text)


def rows_of(body: Message) -> Iterator[Row]:
    """What there is to read in an answer."""
    match body:
        case audio_pb2.TranscribeResponse() | audio_pb2.TranslateAudioResponse():
            told = body.transcript
            yield Row((told,), "text")
            yield Row(told.segments, "text", repeats=bool(told.text))
            yield Row(told.words, "text", repeats=bool(told.text))
        case images_pb2.GenerateImagesResponse() | images_pb2.EditImagesResponse():
            yield from (Row((image,), "revised_prompt") for image in body.images)
        case _:
            return


def withhold(body: Message) -> None:
    """Nothing of it is told."""
    match body:
        case audio_pb2.TranscribeResponse() | audio_pb2.TranslateAudioResponse():
            for field in ("text", "segments", "words"):
                body.transcript.ClearField(field)
        case images_pb2.GenerateImagesResponse() | images_pb2.EditImagesResponse():
            del body.images[:]
        case _:
            return


def replaced(texts: Sequence[str], finders: Sequence[Finder], replace: Replace) -> list[str] | None:
    """The texts with what `replace` has for each kind that is found; None where it has nothing for one."""
    whole = _GAP.join(texts).replace(_MARK, " ")
    changed, places = list(texts), _places(texts)
    for span in reversed(list(_found(whole, finders))):
        instead = replace(span.kind, whole[span.start : span.end])
        if instead is None:
            return None
        _put(changed, places, span, instead)
    return changed


def _found(text: str, finders: Sequence[Finder]) -> Iterator[Span]:
    """By the screen that all texts go through, so that all of them are judged alike."""
    values: list[tuple[str, int]] = []

    def note(kind: str, value: str) -> str:
        values.append((kind, len(value)))
        return _MARK

    at = 0
    for gap, (kind, size) in zip(passed(Screen(finders, note), text).split(_MARK), [*values, ("", 0)], strict=True):
        at += len(gap)
        if kind:
            yield Span(at, at + size, kind)
        at += size


def _places(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Where each begins and ends in all of them together."""
    places, at = [], 0
    for text in texts:
        places.append((at, at + len(text)))
        at += len(text) + len(_GAP)
    return places


def _put(texts: list[str], places: Sequence[tuple[int, int]], span: Span, instead: str) -> None:
    """In the first text that has some of it; the others lose their part."""
    for place, (begin, end) in enumerate(places):
        if begin < span.end and span.start < end:
            text, cut = texts[place], (max(span.start - begin, 0), span.end - begin)
            texts[place] = f"{text[: cut[0]]}{instead}{text[cut[1] :]}"
            instead = ""
