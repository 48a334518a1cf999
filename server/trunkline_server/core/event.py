"""Events: their types, and the JSON that is stored and sent to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToJson, Parse

from trunkline.v1 import events_pb2

_PAYLOADS: Final = events_pb2.Event.DESCRIPTOR.oneofs_by_name["payload"].fields


def _type(field: FieldDescriptor) -> str:
    return field.message_type.name if field.message_type else ""


TYPES: Final[Mapping[str, str]] = {_type(field): field.name for field in _PAYLOADS}
"""A type is called like the message that tells of it; behind it the field of `Event` that has it."""

OF_CALLS: Final = frozenset(
    ("ResponseGenerated", "CostCalculated", "RequestFailed", "FailoverTriggered", "ProviderSwitched", "MessageSent")
)
"""Written only where somebody wants them."""


def type_of(event: events_pb2.Event) -> str:
    """`JobStateChanged`."""
    field = event.WhichOneof("payload")
    if field is None:
        raise ValueError("an event without a payload")
    return _type(events_pb2.Event.DESCRIPTOR.fields_by_name[field])


def body_of(event: events_pb2.Event) -> str:
    """The payload as JSON, as proto spells it."""
    field = event.WhichOneof("payload")
    return MessageToJson(getattr(event, field or ""), indent=None, ensure_ascii=False)


def read(type_: str, body: str) -> events_pb2.Event:
    """The other way round. What a newer version wrote beside what this one knows is skipped."""
    event = events_pb2.Event(type=type_)
    if type_ in TYPES:
        payload = getattr(event, TYPES[type_])
        payload.SetInParent()
        Parse(body, payload, ignore_unknown_fields=True)
    return event
