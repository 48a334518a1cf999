"""Reads the contract with its comments: what there is in each file of `proto/`, as the pages tell it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)

from tools.generate import build_image
from trunkline_server.door.contract import Contract

PACKAGE: Final = "trunkline.v1"
PREFIX: Final = f".{PACKAGE}."
LEVELS: Final = {
    MethodOptions.NO_SIDE_EFFECTS: "changes nothing, may be repeated",
    MethodOptions.IDEMPOTENT: "may be repeated",
}
WORDS: Final = {
    "min_len": "at least {} characters",
    "max_len": "at most {} characters",
    "max_bytes": "at most {} bytes",
    "min_items": "at least {}",
    "max_items": "at most {}",
    "max_pairs": "at most {} entries",
    "gte": "at least {}",
    "gt": "more than {}",
    "lte": "at most {}",
    "not_in": "not {}",
    "defined_only": "a value that is named here",
    "pattern": "like `{}`",
}
_SERVICE, _MESSAGE, _ENUM = 6, 4, 5  # numbers of FileDescriptorProto's fields, which a path into it is made of
_METHOD, _FIELD, _NESTED, _NESTED_ENUM, _VALUE = 2, 2, 3, 4, 2

Path_: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Field:
    """A field. `refers` is the message or enum of ours that it has, without the package."""

    name: str
    kind: str
    refers: str
    oneof: str
    rules: Sequence[str]
    comment: str


@dataclass(frozen=True)
class Message:
    name: str
    comment: str
    fields: Sequence[Field]


@dataclass(frozen=True)
class Value:
    name: str
    number: int
    comment: str


@dataclass(frozen=True)
class Enum:
    name: str
    comment: str
    values: Sequence[Value]


@dataclass(frozen=True)
class Method:
    name: str
    comment: str
    request: str
    response: str
    gathers: bool
    streams: bool
    scope: str
    level: str


@dataclass(frozen=True)
class Service:
    name: str
    comment: str
    methods: Sequence[Method]


@dataclass(frozen=True)
class Chapter:
    """What one file has: a service with its messages, or messages that several services share."""

    name: str
    service: Service | None
    messages: Sequence[Message]
    enums: Sequence[Enum]

    @property
    def names(self) -> Iterator[str]:
        """What other pages may refer to."""
        yield from (message.name for message in self.messages)
        yield from (enum.name for enum in self.enums)


def chapters() -> list[Chapter]:
    """The whole contract, a chapter for each file."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "contract.binpb")
        build_image(image)
        files = FileDescriptorSet.FromString(image.read_bytes()).file
    scopes = {each.name: each.scope for each in Contract().methods()}
    rules = _Rules(files)
    ours = (_Reader(file, scopes, rules).chapter() for file in files if file.package == PACKAGE)
    return [each for each in ours if each.service or each.messages or each.enums]


class _Rules:
    """What protovalidate demands of a field, in words."""

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        pool = descriptor_pool.DescriptorPool()
        for file in files:
            pool.Add(file)
        self._extension: Any = pool.FindExtensionByName("buf.validate.field")
        options: Any = self._extension.containing_type
        self._options: Any = message_factory.GetMessageClass(options)

    def of(self, one: FieldDescriptorProto) -> list[str]:
        options = self._options.FromString(one.options.SerializeToString())
        return list(_spelled(options.Extensions[self._extension]))


class _Reader:
    """One file; comments are found by the path of what they stand above."""

    def __init__(self, file: FileDescriptorProto, scopes: Mapping[str, str], rules: _Rules) -> None:
        self._file, self._scopes, self._rules = file, scopes, rules
        self._comments = {tuple(each.path): each.leading_comments for each in file.source_code_info.location}

    def chapter(self) -> Chapter:
        services = list(self._services())
        tree = [part for at, one in enumerate(self._file.message_type) for part in self._tree(one, (_MESSAGE, at))]
        outer = [self._enum(one, (_ENUM, at)) for at, one in enumerate(self._file.enum_type)]
        return Chapter(
            Path(self._file.name).stem,
            services[0] if services else None,
            [part for part in tree if isinstance(part, Message)],
            [*outer, *(part for part in tree if isinstance(part, Enum))],
        )

    def _comment(self, path: Path_) -> str:
        lines = self._comments.get(path, "").splitlines()
        return "\n".join(line.removeprefix(" ") for line in lines).strip()

    def _services(self) -> Iterator[Service]:
        for at, one in enumerate(self._file.service):
            path = (_SERVICE, at)
            methods = [self._method(one.name, each, (*path, _METHOD, nth)) for nth, each in enumerate(one.method)]
            yield Service(one.name, self._comment(path), methods)

    def _method(self, service: str, one: MethodDescriptorProto, path: Path_) -> Method:
        return Method(
            one.name,
            self._comment(path),
            _ours(one.input_type),
            _ours(one.output_type),
            one.client_streaming,
            one.server_streaming,
            self._scopes[f"/{PACKAGE}.{service}/{one.name}"],
            LEVELS.get(one.options.idempotency_level, ""),
        )

    def _tree(self, one: DescriptorProto, path: Path_, outer: str = "") -> Iterator[Message | Enum]:
        """A message, then what is declared in it; entries of maps are no messages to a reader."""
        name, maps = f"{outer}{one.name}", {each.name: each for each in one.nested_type if each.options.map_entry}
        fields = [self._field(one, maps, each, (*path, _FIELD, at)) for at, each in enumerate(one.field)]
        yield Message(name, self._comment(path), fields)
        for at, enum in enumerate(one.enum_type):
            yield self._enum(enum, (*path, _NESTED_ENUM, at), f"{name}.")
        for at, nested in enumerate(one.nested_type):
            if nested.name not in maps:
                yield from self._tree(nested, (*path, _NESTED, at), f"{name}.")

    def _field(
        self, owner: DescriptorProto, maps: Mapping[str, DescriptorProto], one: FieldDescriptorProto, path: Path_
    ) -> Field:
        entry = maps.get(one.type_name.rpartition(".")[2])
        held = entry.field[1] if entry else one
        kind = _kind(held)
        if entry:
            kind = f"map of {_kind(entry.field[0])} to {kind}"
        elif one.label == one.LABEL_REPEATED:
            kind = f"repeated {kind}"
        elif one.proto3_optional:
            kind = f"optional {kind}"
        oneof = (
            owner.oneof_decl[one.oneof_index].name if one.HasField("oneof_index") and not one.proto3_optional else ""
        )
        refers = _ours(held.type_name) if held.type_name.startswith(PREFIX) else ""
        return Field(one.name, kind, refers, oneof, self._rules.of(one), self._comment(path))

    def _enum(self, one: EnumDescriptorProto, path: Path_, outer: str = "") -> Enum:
        values = [
            Value(each.name, each.number, self._comment((*path, _VALUE, at))) for at, each in enumerate(one.value)
        ]
        return Enum(f"{outer}{one.name}", self._comment(path), values)


def _ours(type_name: str) -> str:
    return type_name.removeprefix(PREFIX).removeprefix(".")


def _kind(one: FieldDescriptorProto) -> str:
    return _ours(one.type_name) or FieldDescriptorProto.Type.Name(one.type).removeprefix("TYPE_").lower()


def _spelled(rules: Any, outer: str = "") -> Iterator[str]:
    for field, value in rules.ListFields():
        match field.name:
            case "cel":
                yield from (each.message or each.expression for each in value)
            case "items" | "keys" | "values":
                yield from _spelled(value, "each ")
            case _ if field.message_type is None:
                yield outer + WORDS.get(field.name, field.name).format(_worth(value))
            case "duration" | "timestamp" | "any":
                yield from _spelled(value, outer)
            case _ if field.message_type.full_name.startswith("google.protobuf."):
                yield outer + WORDS.get(field.name, field.name).format(value.ToJsonString())
            case _:
                yield from _spelled(value, outer)


def _worth(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value) if isinstance(value, (str, int)) else _list(value)


def _list(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))
