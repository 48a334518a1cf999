"""Mistral's fine-tuning jobs. One answer has all that is known of a job."""

from __future__ import annotations

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
    model_of,
    moment_of,
    require_unset,
    tokens_of,
)

STATES: Final[Mapping[str | None, str]] = {
    "QUEUED": "queued",
    "VALIDATING": "validating",
    "VALIDATED": "queued",
    "SUCCESS": "succeeded",
    "FAILED_VALIDATION": "failed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}
CODES: Final = {"FAILED_VALIDATION": "invalid_training_file", "FAILED": "failed"}


class Happening(Struct):
    """What an event says."""

    status: str | None = None
    error: str | None = None


class Event(Struct):
    """Something that has happened."""

    name: str | None = None
    created_at: float | None = None
    data: Happening | None = None


class Metrics(Struct):
    """How good a checkpoint was."""

    train_loss: float | None = None
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None


class Checkpoint(Struct):
    """A point on the way; it is no model that can be called."""

    step_number: float | None = None
    metrics: Metrics | None = None


class Job(Struct):
    """A job and all that is known of it."""

    id: str | None = None
    status: str | None = None
    fine_tuned_model: str | None = None
    trained_tokens: float | None = None
    events: list[Event] | None = None
    checkpoints: list[Checkpoint] | None = None


_JOB: Final = msgspec.json.Decoder(Job)


@dataclass(frozen=True)
class MistralTuning(TuningCraft):
    """The craft. A job begins by itself."""

    poll_s: float = 30.0

    def begin(self, lesson: Lesson) -> HttpRequest:
        wanted = lesson.wanted
        require_unset(wanted, "batch_size", "learning_rate_multiplier", "seed")
        hyperparameters: dict[str, object] = {"epochs": wanted.hyperparameters.epoch_count}
        if wanted.hyperparameters.learning_rate:
            hyperparameters["learning_rate"] = wanted.hyperparameters.learning_rate
        told: dict[str, object] = {
            "model": lesson.model,
            "training_files": [{"file_id": lesson.training_file, "weight": 1}],
            "hyperparameters": hyperparameters,
            "auto_start": True,
        }
        if lesson.validation_file:
            told["validation_files"] = [lesson.validation_file]
        if wanted.suffix:
            told["suffix"] = wanted.suffix
        return HttpRequest("POST", PATH, dialect.JSON_HEADERS, dialect.spell(told))

    def begun(self, body: bytes) -> str:
        return id_of(dialect.parse(_JOB, body).id)

    def polled(self, body: bytes) -> Standing:
        job = dialect.parse(_JOB, body)
        state = STATES.get(job.status, "running")
        code = CODES.get(job.status or "", "")
        return Standing(state, model_of(job.fine_tuned_model), tokens_of(job.trained_tokens), code)

    def events(self, operation: str) -> HttpRequest:
        return self.poll(operation)

    def heard(self, body: bytes) -> Sequence[Told]:
        events = dialect.parse(_JOB, body).events or []
        return [_told(event) for event in sorted(events, key=lambda event: event.created_at or 0)]

    def checkpoints(self, operation: str) -> HttpRequest:
        return self.poll(operation)

    def reached(self, body: bytes) -> Sequence[fine_tuning_pb2.FineTuneCheckpoint]:
        return [_checkpoint(each) for each in dialect.parse(_JOB, body).checkpoints or ()]


def _told(event: Event) -> Told:
    """Events have no ids; what stands in one tells it from others."""
    happening = event.data or Happening()
    message = ": ".join(each for each in (event.name, happening.status, happening.error) if each)[:EVENT_CHARS_MAX]
    info, error = fine_tuning_pb2.FINE_TUNE_EVENT_LEVEL_INFO, fine_tuning_pb2.FINE_TUNE_EVENT_LEVEL_ERROR
    told = fine_tuning_pb2.FineTuneEvent(
        event_time=timestamp(moment_of(event.created_at)),
        level=error if happening.error else info,
        message=message,
    )
    return Told(f"{event.created_at} {message}", told)


def _checkpoint(told: Checkpoint) -> fine_tuning_pb2.FineTuneCheckpoint:
    given = told.metrics or Metrics()
    return fine_tuning_pb2.FineTuneCheckpoint(
        step=dialect.count(told.step_number),
        training_loss=given.train_loss,
        validation_loss=given.valid_loss,
        validation_accuracy=given.valid_mean_token_accuracy,
    )
