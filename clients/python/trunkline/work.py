"""Work that nobody waits for, as the contract spells it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeAlias, TypeVar
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.content import Words
from trunkline.question import Question
from trunkline.v1 import (
    audio_pb2,
    chat_pb2,
    collections_pb2,
    embeddings_pb2,
    images_pb2,
    jobs_pb2,
    tasks_pb2,
    tools_pb2,
    video_pb2,
)

_Input = (
    chat_pb2.ChatInput
    | embeddings_pb2.EmbedInput
    | images_pb2.ImageInput
    | audio_pb2.SpeechInput
    | audio_pb2.TranscriptionInput
    | video_pb2.VideoInput
    | tasks_pb2.TaskInput
    | tools_pb2.ToolInvocation
    | collections_pb2.UpsertInput
)
Work: TypeAlias = Words | _Input | jobs_pb2.JobSpec
Request = TypeVar("Request", bound=Message)

_FIELDS: Final = {
    each.message_type.full_name: each.name for each in jobs_pb2.JobSpec.DESCRIPTOR.fields if each.message_type
}
ENDED: Final = (jobs_pb2.JOB_STATE_SUCCEEDED, jobs_pb2.JOB_STATE_FAILED, jobs_pb2.JOB_STATE_CANCELLED)


def spec_of(work: Work, known: Question) -> jobs_pb2.JobSpec:
    """Plain words are a question to what is known."""
    if isinstance(work, jobs_pb2.JobSpec):
        return work
    if isinstance(work, _Input):
        return jobs_pb2.JobSpec(**{_FIELDS[work.DESCRIPTOR.full_name]: work})  # type: ignore[arg-type]
    return jobs_pb2.JobSpec(chat=known.asked(work))


def named(request: Request, name: str = "") -> Request:
    """Gives a request a name where the contract has a place for one, so that sending it twice does it once."""
    if "request_id" in request.DESCRIPTOR.fields_by_name and not getattr(request, "request_id", ""):
        setattr(request, "request_id", name or uuid4().hex)  # noqa: B010 - not every message has the field
    return request


def duration(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    told = Duration()
    told.FromTimedelta(length)
    return told


def timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    told = Timestamp()
    told.FromDatetime(moment)
    return told
