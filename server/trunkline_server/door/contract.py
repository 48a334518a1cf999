"""The contract as the server enforces it: scopes and validation rules, which the callers' stubs do not carry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Final

import protovalidate
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from trunkline_server.core.errors import FieldViolation, Reason, TrunklineError
from trunkline_server.door.rules import Rules

WARM_EVERY_S: Final = 0.01
"""A step takes a millisecond, which the first calls hardly notice."""
_SCOPE_FIELD = "trunkline.v1.scope"
_VIOLATIONS_MAX = 16
_DESCRIPTION_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: its full name (`/trunkline.v1.ChatService/Complete`) and the scope that it asks for.

    `streams`: the answer comes in many messages; `gathers`: the request does.
    `reads` says that it changes nothing, so that anybody between may repeat or keep it.
    """

    name: str
    scope: str
    streams: bool
    gathers: bool
    request: str
    reads: bool = False
    is_audited: bool = False
    """An operator changes something: it is in the audit or it is not done."""


class Contract:
    """Reads the annotated descriptors that ship with the server."""

    def __init__(self) -> None:
        image = descriptor_pb2.FileDescriptorSet.FromString(
            files("trunkline_server.data").joinpath("contract.binpb").read_bytes()
        )
        self._pool = descriptor_pool.DescriptorPool()
        for file in image.file:
            self._pool.Add(file)
        self._files = [file.name for file in image.file if file.package == "trunkline.v1"]
        self._rules = Rules(self._pool)
        self._validator = protovalidate.Validator()
        self._class_of = cache(self._find_class)

    def methods(self) -> Iterable[Method]:
        """Every RPC that there is."""
        return self._methods.values()

    def method(self, name: str) -> Method:
        """By its full name."""
        return self._methods[name]

    @cached_property
    def _methods(self) -> dict[str, Method]:
        return {method.name: method for method in self._read_methods()}

    def _read_methods(self) -> Iterator[Method]:
        extension: Any = self._pool.FindExtensionByName(_SCOPE_FIELD)
        options_class: Any = message_factory.GetMessageClass(extension.containing_type)
        for name in self._files:
            for service in self._pool.FindFileByName(name).services_by_name.values():
                for method in service.methods:
                    options = options_class.FromString(method.GetOptions().SerializeToString())
                    yield _describe(method, options.Extensions[extension])

    def validate(self, request: Message) -> None:
        """Hold a request to the rules of the contract; what is wrong is told field by field."""
        if self._rules.hold(request):
            return
        annotated = self._class_of(request.DESCRIPTOR.full_name).FromString(request.SerializeToString())
        violations = self._validator.collect_violations(annotated)
        if violations:
            raise _invalid(violations)

    def _find_class(self, name: str) -> type[Message]:
        """The annotated class."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(name))

    async def warmed(self) -> None:
        """Compiles the rules of every request, one at a time between calls, so that none of these pays for it."""
        for method in self.methods():
            empty = self._class_of(method.request)()
            self._rules.hold(empty)
            self._validator.collect_violations(empty)
            await asyncio.sleep(WARM_EVERY_S)


@cache
def contract_here() -> Contract:
    """The one of this process: it never changes."""
    return Contract()


def _describe(method: MethodDescriptor, scope: str) -> Method:
    name = f"/{method.containing_service.full_name}/{method.name}"
    level = method.GetOptions().idempotency_level
    reads = level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    streams, gathers = method.server_streaming, method.client_streaming
    return Method(name, scope, streams, gathers, method.input_type.full_name, reads, not reads and _operates(scope))


def _operates(scope: str) -> bool:
    """It is for operators."""
    resource, _, right = scope.partition(":")
    return resource == "admin" or right in ("admin", "grant")


def _invalid(violations: Sequence[protovalidate.Violation]) -> TrunklineError:
    told = [
        FieldViolation(_path(each), each.proto.message[:_DESCRIPTION_CHARS_MAX])
        for each in violations[:_VIOLATIONS_MAX]
    ]
    first = told[0]
    return TrunklineError(Reason.VALIDATION, f"{first.field}: {first.description}", violations=told)


def _path(violation: protovalidate.Violation) -> str:
    """`input.messages[2].role`."""
    path = ""
    for element in violation.proto.field.elements if violation.proto.field else ():
        path += f".{element.field_name}" if path else element.field_name
        path += _subscript(element)
    return path


def _subscript(element: protovalidate.FieldPathElementPb) -> str:
    match element.subscript:
        case None:
            return ""
        case oneof:
            return f"[{oneof.value!r}]" if isinstance(oneof.value, str) else f"[{oneof.value}]"
