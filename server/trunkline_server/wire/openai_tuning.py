"""OpenAI's fine-tuning jobs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.v1 import fine_tuning_pb2
from trunkline_server.core.moment import timestamp
from trunkline_server.wire import dialect
from trunkline_server.wire.bulk import id_of
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.tuning import (
    EVENT_CHARS_MAX,
    PATH,
    Lesson,
    Standing,
    Told,
    TuningCraft,
    code_of,
    model_of,
    moment_of,
    require_unset,
    tokens_of,
)

EVENTS_AT_ONCE: Final = 100
STATES: Final[Mapping[str | None, str]] = {
    "validating_files": "validating",
    "queued": "queued",
    "running": "running",
    "paused": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
LEVELS: Final[Mapping[str | None, fine_tuning_pb2.FineTuneEventLevel.ValueType]] = {
    "warn": fine_tuning_pb2.FINE_TUNE_EVENT_LEVEL_WARNING,
    "error": fine_tuning_pb2.FINE_TUNE_EVENT_LEVEL_ERROR,
}


class Fault(Struct):
    """Why a job failed."""

    code: str | None = None


class Job(Struct):
    """A job and how far it is."""

    id: str | None = None
    status: str | None = None
    fine_tuned_model: str | None = None
    trained_tokens: float | None = None
    error: Fault | None = None


class Event(Struct):
    """Something that has happened."""

    id: str | None = None
    created_at: float | None = None
    level: str | None = None
    message: str | None = None
    data: dict[str, object] | None = None


class Events(Struct):
    """The newest first."""

    data: list[Event] | None = None


class Metrics(Struct):
    """How good a checkpoint was."""

    train_loss: float | None = None
    valid_loss: float | None = None
    full_valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    full_valid_mean_token_accuracy: float | None = None


class Checkpoint(Struct):
    """A model on the way."""

    step_number: float | None = None
    fine_tuned_model_checkpoint: str | None = None
    metrics: Metrics | None = None


class Checkpoints(Struct):
    """The newest first."""

    data: list[Checkpoint] | None = None


_JOB: Final = msgspec.json.Decoder(Job)
_EVENTS: Final = msgspec.json.Decoder(Events)
_CHECKPOINTS: Final = msgspec.json.Decoder(Checkpoints)


@dataclass(frozen=True)
class OpenAITuning(TuningCraft):
    """The craft: supervised, by examples."""

    poll_s: float = 30.0
    examples_min: int = 10

    def begin(self, lesson: Lesson) -> HttpRequest:
        wanted = lesson.wanted
        require_unset(wanted, "learning_rate")
        told: dict[str, object] = {"model": lesson.model, "training_file": lesson.training_file}
        if lesson.validation_file:
            told["validation_file"] = lesson.validation_file
        if wanted.suffix:
            told["suffix"] = wanted.suffix
        if wanted.HasField("seed"):
            told["seed"] = wanted.seed
        method = {"hyperparameters": _hyperparameters(wanted.hyperparameters)}
        told["method"] = {"type": "supervised", "supervised": method}
        return HttpRequest("POST", PATH, dialect.JSON_HEADERS, dialect.spell(told))

    def begun(self, body: bytes) -> str:
        return id_of(dialect.parse(_JOB, body).id)

    def polled(self, body: bytes) -> Standing:
        job = dialect.parse(_JOB, body)
        code = code_of(job.error.code) if job.error else ""
        state = STATES.get(job.status, "running")
        return Standing(state, model_of(job.fine_tuned_model), tokens_of(job.trained_tokens), code)

    def events(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"{PATH}/{operation}/events?limit={EVENTS_AT_ONCE}", dialect.JSON_HEADERS)

    def heard(self, body: bytes) -> Sequence[Told]:
        return [_told(event) for event in reversed(dialect.parse(_EVENTS, body).data or ()) if event.id]

    def checkpoints(self, operation: str) -> HttpRequest:
        return HttpRequest("GET", f"{PATH}/{operation}/checkpoints?limit={EVENTS_AT_ONCE}", dialect.JSON_HEADERS)

    def reached(self, body: bytes) -> Sequence[fine_tuning_pb2.FineTuneCheckpoint]:
        return [_checkpoint(each) for each in dialect.parse(_CHECKPOINTS, body).data or ()]


def _hyperparameters(given: fine_tuning_pb2.Hyperparameters) -> dict[str, object]:
    told: dict[str, object] = {"n_epochs": given.epoch_count}
    if given.batch_size:
        told["batch_size"] = given.batch_size
    if given.learning_rate_multiplier:
        told["learning_rate_multiplier"] = given.learning_rate_multiplier
    return told


def _told(event: Event) -> Told:
    told = fine_tuning_pb2.FineTuneEvent(
        event_time=timestamp(moment_of(event.created_at)),
        level=LEVELS.get(event.level, fine_tuning_pb2.FINE_TUNE_EVENT_LEVEL_INFO),
        message=(event.message or "")[:EVENT_CHARS_MAX],
        metrics=_numbers(event.data or {}),
    )
    return Told((event.id or "")[:EVENT_CHARS_MAX], told)


def _numbers(data: Mapping[str, object]) -> dict[str, float]:
    few = list(data.items())[:50]
    return {
        name[:64]: float(value)
        for name, value in few
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _checkpoint(told: Checkpoint) -> fine_tuning_pb2.FineTuneCheckpoint:
    given = told.metrics or Metrics()
    valid_loss = given.valid_loss if given.full_valid_loss is None else given.full_valid_loss
    full = given.full_valid_mean_token_accuracy
    return fine_tuning_pb2.FineTuneCheckpoint(
        step=dialect.count(told.step_number),
        provider_model=model_of(told.fine_tuned_model_checkpoint),
        training_loss=given.train_loss,
        validation_loss=valid_loss,
        validation_accuracy=given.valid_mean_token_accuracy if full is None else full,
    )
