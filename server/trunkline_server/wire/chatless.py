"""What a dialect without chat says where chat is asked for: it cannot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import models_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.offered import Offered
from trunkline_server.wire.countless import Countless
from trunkline_server.wire.dialect import Decoder
from trunkline_server.wire.http import HttpRequest

NOTHING: Final[frozenset[models_pb2.Capability.ValueType]] = frozenset()


@dataclass(frozen=True)
class Chatless(Countless, ABC):
    """The wire of a provider that has crafts alone: how it spells errors, and which models it has."""

    name: str
    capabilities: frozenset[models_pb2.Capability.ValueType] = NOTHING
    delta_is_token: bool = False
    needs_cap: bool = False

    def encode_chat(self, ask: Ask) -> HttpRequest:
        raise _unable(ask)

    def decode_chat(self, ask: Ask, answer: Answer, content_type: str) -> Decoder:  # noqa: ARG002 - never asked
        raise _unable(ask)

    @abstractmethod
    def encode_models(self) -> HttpRequest:
        """The question which models there are, or any other that is free and proves the key."""

    @abstractmethod
    def decode_models(self, body: bytes) -> list[Offered]:
        """The models, as far as the answer has them."""

    @abstractmethod
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        """What a status that is not 2xx means."""


def _unable(ask: Ask) -> TrunklineError:
    return invalid("input.model", f"{ask.provider} answers no chat", Reason.CAPABILITY_UNSUPPORTED)
