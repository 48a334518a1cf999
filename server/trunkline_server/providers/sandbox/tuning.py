"""Trainings by the sandbox, in the dialect of OpenAI's fine-tuning jobs. All that is known of one stands in its id."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from trunkline_server.providers.sandbox import reply as replies
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.reply import Reply
from trunkline_server.providers.sandbox.turn import CREATED_S
from trunkline_server.wire.http import HttpRequest

PATH: Final = "/fine_tuning/jobs"
PREFIX: Final = "ftjob-"
TUNED: Final = "ft:"
JOBS_MAX: Final = 1000
STEPS: Final = ("validating_files", "running", "running", "succeeded")
"""What it says when it is asked after for the first time, the second, and so on."""
FAILING: Final = "fail"
ENDLESS: Final = "endless"
"""Suffixes that say how it goes."""
SAID: Final[Mapping[str, str]] = {
    "validating_files": "Validating training file",
    "running": "Fine-tuning job started",
    "succeeded": "The job has successfully completed",
    "failed": "The job failed",
    "cancelled": "The job was cancelled",
}


class Hyperparameters(msgspec.Struct, frozen=True):
    """How it is trained."""

    n_epochs: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1


class Supervised(msgspec.Struct, frozen=True):
    """By examples."""

    hyperparameters: Hyperparameters = Hyperparameters()


class Method(msgspec.Struct, frozen=True):
    """The way of training."""

    supervised: Supervised = Supervised()


class Wanted(msgspec.Struct, frozen=True):
    """A training that is wanted; other fields are skipped."""

    model: str
    training_file: str
    suffix: str = ""
    method: Method = Method()


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one. `mark` tells it from all others."""

    model: str
    suffix: str
    tokens: int
    mark: str

    @property
    def trained(self) -> str:
        return f"{TUNED}{self.model}:{self.suffix}:{self.mark}"


_WANTED: Final = msgspec.json.Decoder(Wanted)
_JOB: Final = msgspec.json.Decoder(Job)


def base_of(model: str) -> str:
    """The model that a trained one began with; others are their own."""
    return model.split(":")[1] if model.startswith(TUNED) else model


class Trainings:
    """`files` are those that were uploaded, in lines, by name. Remembers how often each was asked after, and which were
    stopped; after a restart that begins anew."""

    def __init__(self, files: Mapping[str, Sequence[bytes]]) -> None:
        self._files = files
        self._asked: OrderedDict[str, int] = OrderedDict()
        self._stopped: OrderedDict[str, int] = OrderedDict()

    def takes(self, request: HttpRequest) -> bool:
        """Whether this is for us."""
        return request.path.startswith(PATH)

    def answer(self, request: HttpRequest) -> Reply:
        """Raises Refusal."""
        match request.method, *request.path.partition("?")[0].removeprefix(PATH).strip("/").split("/"):
            case "POST", "":
                return self._begun(request.body)
            case "POST", name, "cancel":
                return self._cancelled(name)
            case "GET", name, "events":
                return self._events(name)
            case "GET", name, "checkpoints":
                return self._checkpoints(name)
            case "GET", name:
                return self._shown(name)
            case _:
                raise Refusal(404, "not_found", f"there is no {request.method} {request.path} here")

    def _begun(self, body: bytes) -> Reply:
        try:
            wanted = _WANTED.decode(body)
            lines = self._files[wanted.training_file]
        except (KeyError, ValueError, RecursionError) as error:
            raise Refusal(400, "invalid_request", "the body names no file that is here") from error
        tokens = sum(len(line.split()) for line in lines) * wanted.method.supervised.hyperparameters.n_epochs
        job = Job(wanted.model, wanted.suffix, tokens, os.urandom(6).hex())
        name = PREFIX + urlsafe_b64encode(msgspec.json.encode(job)).decode().rstrip("=")
        return replies.body(_told(name, job, "queued"))

    def _shown(self, name: str) -> Reply:
        job = _read(name)
        _count(self._asked, name)
        return replies.body(_told(name, job, self._status(name, job)))

    def _cancelled(self, name: str) -> Reply:
        job = _read(name)
        if self._status(name, job) != "succeeded":
            _keep(self._stopped, name, 1)
        return replies.body(_told(name, job, self._status(name, job)))

    def _status(self, name: str, job: Job) -> str:
        if name in self._stopped:
            return "cancelled"
        step = STEPS[min(max(self._asked.get(name, 0) - 1, 0), len(STEPS) - 1)]
        if step == "succeeded" and job.suffix in (FAILING, ENDLESS):
            return "failed" if job.suffix == FAILING else "running"
        return step

    def _events(self, name: str) -> Reply:
        job = _read(name)
        status = self._status(name, job)
        so_far = [step for step in STEPS[: self._asked.get(name, 0) - 1] if step != status]
        said = [*dict.fromkeys(so_far), status]
        events = [_event(name, place, step) for place, step in enumerate(said)]
        return replies.body({"object": "list", "data": events[::-1], "has_more": False})

    def _checkpoints(self, name: str) -> Reply:
        job = _read(name)
        done = self._status(name, job) == "succeeded"
        points = [_checkpoint(job, step) for step in (20, 10)] if done else []
        return replies.body({"object": "list", "data": points, "has_more": False})


def _count(counts: OrderedDict[str, int], name: str) -> None:
    _keep(counts, name, counts.pop(name, 0) + 1)


def _keep(kept: OrderedDict[str, int], name: str, value: int) -> None:
    kept[name] = value
    if len(kept) > JOBS_MAX:
        kept.popitem(last=False)


def _told(name: str, job: Job, status: str) -> dict[str, object]:
    done, failed = status == "succeeded", status == "failed"
    return {
        "object": "fine_tuning.job",
        "id": name,
        "model": job.model,
        "created_at": CREATED_S,
        "status": status,
        "fine_tuned_model": job.trained if done else None,
        "trained_tokens": job.tokens if done else None,
        "error": {"code": "invalid_training_file", "message": "told to fail"} if failed else None,
    }


def _event(name: str, place: int, status: str) -> dict[str, object]:
    return {
        "object": "fine_tuning.job.event",
        "id": f"ftevent-{name[-12:]}-{status}",
        "created_at": CREATED_S + place,
        "level": "error" if status == "failed" else "info",
        "message": SAID[status],
        "data": {"step": 10, "train_loss": 0.5} if status == "succeeded" else {},
    }


def _checkpoint(job: Job, step: int) -> dict[str, object]:
    return {
        "object": "fine_tuning.job.checkpoint",
        "fine_tuned_model_checkpoint": f"{job.trained}:ckpt-step-{step}",
        "step_number": step,
        "metrics": {"step": step, "train_loss": 10 / step},
    }


def _read(name: str) -> Job:
    text = name.removeprefix(PREFIX)
    try:
        return _JOB.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError) as error:
        raise Refusal(404, "not_found", "there is no such job") from error
