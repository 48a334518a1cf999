"""What a dialect can do besides chat: one craft for each kind of work, pure as a wire.

A craft that answers in one piece is a `Craft`. Speech, which is heard while it is made, is a `SpeechCraft`. What takes
a provider minutes is a `LongCraft`: it is begun once, asked after, and fetched. How a provider spells its errors is its
wire's matter (`Wire.failure`); a decoder raises UpstreamFailure only for answers that say 200 and are none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from trunkline.v1 import audio_pb2, chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import BodyT, Product, Sound
from trunkline_server.wire.dialect import Decoder
from trunkline_server.wire.http import HttpRequest


class Craft(ABC, Generic[InputT, BodyT]):
    """One request, one answer."""

    is_idempotent = True
    """A second execution does no harm, and costs no second time."""

    @abstractmethod
    def encode(self, errand: Errand[InputT]) -> HttpRequest:
        """The work as the provider's own request. Raises PARAMETER_UNSUPPORTED, CAPABILITY_UNSUPPORTED."""

    @abstractmethod
    def decode(self, errand: Errand[InputT], headers: Mapping[str, str], body: bytes) -> Product[BodyT]:
        """What came back. Raises UpstreamFailure where it cannot be read or is itself an error."""

    def split(self, errand: Errand[InputT]) -> Sequence[Errand[InputT]]:
        """The work in pieces that the provider takes at once; they share the list of warnings."""
        return (errand,)

    def join(self, errand: Errand[InputT], products: Sequence[Product[BodyT]]) -> Product[BodyT]:
        """The whole, from the products of the pieces, in order. Its usage is theirs together, which others add up."""
        return products[0]


class SpeechCraft(ABC):
    """Speech, in pieces."""

    @abstractmethod
    def encode(self, errand: Errand[audio_pb2.SpeechInput]) -> HttpRequest:
        """The request."""

    @abstractmethod
    def decode(self, errand: Errand[audio_pb2.SpeechInput], sound: Sound, headers: Mapping[str, str]) -> Decoder:
        """A reader for the answer; sets `sound.media_type` at once, adds pieces, and sets `finished` at the end."""


class VoicesCraft(ABC):
    """The list of a provider's voices."""

    @abstractmethod
    def encode(self) -> HttpRequest:
        """The question which there are."""

    @abstractmethod
    def decode(self, body: bytes) -> list[audio_pb2.Voice]:
        """The voices, by name. Raises UpstreamFailure where the answer cannot be read."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The provider is still at it. `percent`: how far, 0 to 99. `fetchable`: it is done, and has to be fetched."""

    percent: int = 0
    fetchable: bool = False


class LongCraft(ABC, Generic[InputT, BodyT]):
    """Submit once, then ask after it by what the provider calls it (`operation`, a JSON text of ours), then fetch."""

    poll_s = 5.0
    """How long to wait before asking again."""

    @abstractmethod
    def submit(self, errand: Errand[InputT]) -> HttpRequest:
        """Begins the work. Never sent twice."""

    @abstractmethod
    def submitted(self, errand: Errand[InputT], headers: Mapping[str, str], body: bytes) -> str:
        """The operation, as text that is kept and given back to the others."""

    @abstractmethod
    def poll(self, operation: str) -> HttpRequest:
        """Asks how far it is."""

    @abstractmethod
    def polled(
        self, errand: Errand[InputT], operation: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> Pending | Product[BodyT]:
        """How far, or what came of it. Raises UpstreamFailure where the work has failed."""

    def fetch(self, operation: str, body: bytes) -> HttpRequest | None:
        """Gets what a finished poll (`body`) only points to; None where the poll itself has it."""
        return None

    def onward(self, operation: str, location: str) -> HttpRequest | None:
        """Where to go on when what is fetched lies elsewhere at the same provider; None where nowhere."""
        return None

    def fetched(
        self, errand: Errand[InputT], operation: str, headers: Mapping[str, str], body: bytes
    ) -> Product[BodyT]:
        """What came of it."""
        raise UpstreamFailure(FailureKind.BROKEN)

    def cancel(self, operation: str) -> HttpRequest | None:
        """Stops it; None where the provider cannot."""
        return None


class BackgroundCraft(ABC):
    """Chats that a provider answers in its own time, where the caller wants that."""

    @abstractmethod
    def is_wanted(self, ask: Ask) -> bool:
        """Asked at every call that has options of its own for the provider."""

    @abstractmethod
    def begin(self, ask: Ask, answer: Answer) -> LongCraft[chat_pb2.ChatInput, chat_pb2.Completion]:
        """One such chat, as long work that grows the answer."""
