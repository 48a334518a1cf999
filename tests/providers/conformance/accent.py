"""How one provider spells what is played: the only thing that differs between the cases of the suite."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.providers.conformance.play import USAGE, Play, Trouble
from trunkline_server.core.failure import FailureKind


class Link(NamedTuple):
    """A tool call and its result, as a request spells them; they belong together when the names are the same."""

    call: str
    result: str
    text: str


class Accent(ABC):
    """Spells answers, and reads the questions that were spelled to it."""

    model = "model-1"
    error_kind = FailureKind.TRANSIENT
    """What an error in the middle of a stream must be taken for."""
    usage_told = USAGE
    """What is understood of the usage; some dialects have no words for its parts."""
    gives_ids = True
    """Answers have ids."""
    stream_type = "text/event-stream"

    @abstractmethod
    def whole(self, play: Play) -> object:
        """An answer in one piece: bytes, or what becomes JSON."""

    @abstractmethod
    def opening(self) -> bytes:
        """What comes before the first word."""

    @abstractmethod
    def word(self, word: str) -> bytes: ...

    @abstractmethod
    def calling(self, play: Play) -> list[bytes]:
        """The tool call."""

    @abstractmethod
    def ending(self, play: Play) -> bytes: ...

    @abstractmethod
    def error_event(self) -> bytes: ...

    @abstractmethod
    def trouble(self, kind: FailureKind) -> Trouble: ...

    @abstractmethod
    def models(self, names: Sequence[str]) -> object: ...

    def count(self, tokens: int) -> object | None:
        """The answer to a question for the number of tokens; None where there is none."""
        return None

    @abstractmethod
    def key(self, headers: Mapping[str, str]) -> str:
        """The key that came along."""

    @abstractmethod
    def model_of(self, path: str, body: Any) -> str: ...

    @abstractmethod
    def text_of(self, body: Any) -> str:
        """The text of the first question."""

    @abstractmethod
    def tools_of(self, body: Any) -> list[str]: ...

    @abstractmethod
    def link_of(self, body: Any) -> Link: ...

    def pieces(self, play: Play) -> list[bytes]:
        """A whole stream, one piece for each word."""
        calling = self.calling(play) if play.call else []
        return [self.opening(), *map(self.word, play.words), *calling, self.ending(play)]


def spelled(body: object) -> bytes:
    """A body as bytes."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()
