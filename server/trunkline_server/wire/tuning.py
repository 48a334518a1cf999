"""What a provider does to train models: begun once, asked after, listened to, stopped.

(files) ──> begin ──> poll, events ... ──> checkpoints ──> a model
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from trunkline.v1 import fine_tuning_pb2
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.http import HttpRequest

PATH: Final = "/fine_tuning/jobs"
"""Where all of them have their trainings, so far."""
EVENT_CHARS_MAX: Final = 500
TOKENS_MAX: Final = 2**53
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MODEL: Final = re.compile(r"[!-~]{1,256}")


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be trained, on which files, by the provider's names for them."""

    model: str
    training_file: str
    validation_file: str
    wanted: fine_tuning_pb2.CreateFineTuneRequest


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a training is. `trained_tokens` None: the provider does not say. `code`: its word for a failure."""

    state: str
    model: str = ""
    trained_tokens: int | None = None
    code: str = ""


class Told(NamedTuple):
    """An event, and what the provider calls it."""

    named: str
    event: fine_tuning_pb2.FineTuneEvent


class TuningCraft(ABC):
    """`purpose`: what its files are told to be for. `examples_min`: how many it wants."""

    purpose: str = "fine-tune"
    poll_s: float = 30.0
    examples_min: int = 1

    @abstractmethod
    def begin(self, lesson: Lesson) -> HttpRequest:
        """Begins a training. Never sent twice. Raises PARAMETER_UNSUPPORTED."""

    @abstractmethod
    def begun(self, body: bytes) -> str:
        """What the provider calls it. Raises UpstreamFailure, as all readers do."""

    def poll(self, operation: str) -> HttpRequest:
        """Asks how far it is."""
        return HttpRequest("GET", f"{PATH}/{operation}", dialect.JSON_HEADERS)

    @abstractmethod
    def polled(self, body: bytes) -> Standing:
        """How far it is."""

    @abstractmethod
    def events(self, operation: str) -> HttpRequest:
        """Asks for the newest of what has happened."""

    @abstractmethod
    def heard(self, body: bytes) -> Sequence[Told]:
        """What has happened, oldest first."""

    @abstractmethod
    def checkpoints(self, operation: str) -> HttpRequest:
        """Asks for the models on the way."""

    @abstractmethod
    def reached(self, body: bytes) -> Sequence[fine_tuning_pb2.FineTuneCheckpoint]:
        """The models on the way."""

    def cancel(self, operation: str) -> HttpRequest:
        """Asks to end it."""
        return HttpRequest("POST", f"{PATH}/{operation}/cancel", dialect.JSON_HEADERS)


def require_unset(wanted: fine_tuning_pb2.CreateFineTuneRequest, *names: str) -> None:
    """Raises PARAMETER_UNSUPPORTED for settings that a provider does not have."""
    for name in names:
        is_set = wanted.HasField("seed") if name == "seed" else bool(getattr(wanted.hyperparameters, name))
        if is_set:
            path = name if name == "seed" else f"hyperparameters.{name}"
            raise _unsupported(path)


def _unsupported(path: str) -> TrunklineError:
    return invalid(path, "is not known to the provider", Reason.PARAMETER_UNSUPPORTED)


def model_of(told: str | None) -> str:
    """A provider's name for a model that can be kept. Raises UpstreamFailure."""
    if told and not _MODEL.fullmatch(told):
        raise UpstreamFailure(FailureKind.BROKEN)
    return told or ""


def code_of(told: str | None) -> str:
    """A provider's word for a failure, where it is one word."""
    return told if told and _CODE.fullmatch(told) else ""


def tokens_of(told: float | None) -> int | None:
    """A number of tokens; None where it is none."""
    return int(told) if told is not None and 0 <= told <= TOKENS_MAX else None


def moment_of(told: float | None) -> datetime:
    """A time that a provider tells in seconds; the beginning of time where it is none."""
    try:
        return datetime.fromtimestamp(told or 0, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
