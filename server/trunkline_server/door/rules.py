"""The contract's rules as plain functions, for the many requests that keep them.

They say yes only where protovalidate would, at half its cost. What they do not understand or find wrong is for
protovalidate to judge, which also knows how to tell it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import reduce
from typing import Any, Final, TypeAlias

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

Holds: TypeAlias = Callable[[Any], bool]

_CLASSES: Final = r"(\[[^\]\\^]*\](\{[0-9]+,[0-9]+\}|[*+?])?)+"
_WHOLE_PATTERN: Final = re.compile(rf"\^({_CLASSES}|\({_CLASSES}\)\?)\$")
"""Of classes and counts alone, or all of that or nothing: what these mean is the same in every dialect."""
_IGNORE_IF_ZERO: Final = 1
_IGNORE_ALWAYS: Final = 3


class NotUnderstood(Exception):
    """A rule that is left to protovalidate."""


class Rules:
    """Made of the annotated descriptors in `pool`; looks at messages of any class with the same fields."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._field_rules = self._extension("buf.validate.field")
        self._oneof_rules = self._extension("buf.validate.oneof")
        self._message_rules = self._extension("buf.validate.message")
        self._known: dict[str, Holds] = {}

    def hold(self, message: Message) -> bool:
        """Whether the message surely keeps them."""
        name = message.DESCRIPTOR.full_name
        return (self._known.get(name) or self._of(self._pool.FindMessageTypeByName(name)))(message)

    def _extension(self, name: str) -> Callable[[Any], Any]:
        """Reads these rules from a descriptor; None where it has none."""
        extension: Any = self._pool.FindExtensionByName(name)
        options_class: Any = message_factory.GetMessageClass(extension.containing_type)

        def read(descriptor: Any) -> Any:
            options = options_class.FromString(descriptor.GetOptions().SerializeToString())
            return options.Extensions[extension] if options.HasExtension(extension) else None

        return read

    def _of(self, descriptor: Descriptor) -> Holds:
        known = self._known.get(descriptor.full_name)
        if known is not None:
            return known
        fields: dict[int, Holds] = {}
        musts: list[Holds] = []

        def holds(message: Any) -> bool:
            for field, value in message.ListFields():
                check = fields.get(field.number)
                if check is not None and not check(value):
                    return False
            for must in musts:  # noqa: SIM110 - a generator costs as much as the rules
                if not must(message):
                    return False
            return True

        self._known[descriptor.full_name] = holds  # before its fields: a message may hold others of its kind
        musts += self._musts_of(descriptor)
        for field in descriptor.fields:
            self._add(field, fields, musts)
        if not (fields or musts):
            self._known[descriptor.full_name] = _always
        return self._known[descriptor.full_name]

    def _musts_of(self, descriptor: Descriptor) -> list[Holds]:
        musts: list[Holds] = [_never] if self._message_rules(descriptor) is not None else []
        for oneof in descriptor.oneofs:
            rules = self._oneof_rules(oneof)
            if rules is not None and rules.required:
                musts.append(_chosen(oneof.name))
        return musts

    def _add(self, field: FieldDescriptor, fields: dict[int, Holds], musts: list[Holds]) -> None:
        rules = self._field_rules(field)
        if rules is not None and rules.ignore == _IGNORE_ALWAYS:
            return
        checks = self._checks(field, rules)
        if checks:
            fields[field.number] = reduce(_both, checks)
        if rules is None:
            return
        if rules.required:
            musts.append(_is_set(field.name) if field.has_presence else _is_some(field.name))
        elif not field.has_presence and rules.ignore != _IGNORE_IF_ZERO and not _holds_for_nothing(field, checks):
            musts.append(_is_some(field.name))

    def _checks(self, field: FieldDescriptor, rules: Any) -> list[Holds]:
        """What must hold for a value that is there."""
        try:
            checks = [] if rules is None else _typed(rules, field)
        except NotUnderstood:
            return [_never]
        if _is_map(field):
            value = _part(field, "value").message_type
            if value is not None and (inside := self._of(value)) is not _always:
                checks.append(_each_value(inside))
        elif field.message_type is not None and (inside := self._of(field.message_type)) is not _always:
            checks.append(_each(inside) if field.is_repeated else inside)
        return checks


def _typed(rules: Any, field: FieldDescriptor) -> list[Holds]:
    """The rules of one kind of value; `field` is where it stands. Raises NotUnderstood."""
    if rules.cel or rules.ignore not in (0, _IGNORE_IF_ZERO) or len(rules.cel_expression):
        raise NotUnderstood
    kind = rules.WhichOneof("type")
    if kind is None:
        return []
    maker = _KINDS.get(kind, _numeric if kind in _NUMBERS else None)
    if maker is None:
        raise NotUnderstood
    return maker({rule.name: value for rule, value in getattr(rules, kind).ListFields()}, field)


def _text(rules: dict[str, Any], _field: FieldDescriptor) -> list[Holds]:
    checks = _sizes(rules, "min_len", "max_len")
    if (pattern := rules.pop("pattern", None)) is not None:
        if not _WHOLE_PATTERN.fullmatch(pattern):
            raise NotUnderstood
        matches = re.compile(pattern[1:-1]).fullmatch
        checks.append(lambda value: matches(value) is not None)
    _nothing_left(rules)
    return checks


def _octets(rules: dict[str, Any], _field: FieldDescriptor) -> list[Holds]:
    checks = _sizes(rules, "min_len", "max_len")
    _nothing_left(rules)
    return checks


def _items(rules: dict[str, Any], field: FieldDescriptor) -> list[Holds]:
    checks = _sizes(rules, "min_items", "max_items")
    if (items := rules.pop("items", None)) is not None:
        checks += [_each(check) for check in _typed_inside(items, field)]
    _nothing_left(rules)
    return checks


def _pairs(rules: dict[str, Any], field: FieldDescriptor) -> list[Holds]:
    checks = _sizes(rules, "min_pairs", "max_pairs")
    if (keys := rules.pop("keys", None)) is not None:
        checks += [_each(check) for check in _typed_inside(keys, _part(field, "key"))]
    if (values := rules.pop("values", None)) is not None:
        checks += [_each_value(check) for check in _typed_inside(values, _part(field, "value"))]
    _nothing_left(rules)
    return checks


def _typed_inside(rules: Any, field: FieldDescriptor) -> list[Holds]:
    if rules.ignore or rules.required:
        raise NotUnderstood
    return _typed(rules, field)


def _numeric(rules: dict[str, Any], _field: FieldDescriptor) -> list[Holds]:
    checks: list[Holds] = []
    if rules.pop("finite", False):
        checks.append(math.isfinite)
    return checks + _bounds(rules, lambda value: value)


def _duration(rules: dict[str, Any], _field: FieldDescriptor) -> list[Holds]:
    return _bounds(rules, lambda value: (value.seconds, value.nanos))


def _enum(rules: dict[str, Any], field: FieldDescriptor) -> list[Holds]:
    checks: list[Holds] = []
    if rules.pop("defined_only", False) and field.enum_type is not None:
        checks.append(frozenset(field.enum_type.values_by_number).__contains__)
    if (some := rules.pop("in", None)) is not None:
        checks.append(frozenset(some).__contains__)
    if (none := rules.pop("not_in", None)) is not None:
        forbidden = frozenset(none)
        checks.append(lambda value: value not in forbidden)
    _nothing_left(rules)
    return checks


def _sizes(rules: dict[str, Any], least: str, most: str) -> list[Holds]:
    at_least, at_most = rules.pop(least, 0), rules.pop(most, None)
    if at_most is None:
        return [lambda value: len(value) >= at_least] if at_least else []
    return [lambda value: at_least <= len(value) <= at_most]


def _bounds(rules: dict[str, Any], key: Callable[[Any], Any]) -> list[Holds]:
    """A number that is none (NaN) is in no bounds."""
    bounds = {name: key(rules.pop(name)) for name in ("gt", "gte", "lt", "lte") if name in rules}
    _nothing_left(rules)
    low, high = bounds.get("gt", bounds.get("gte")), bounds.get("lt", bounds.get("lte"))
    if low is not None and high is not None and low >= high:
        raise NotUnderstood
    made: dict[str, Callable[[Any], Holds]] = {
        "gt": lambda bound: lambda value: bool(key(value) > bound),
        "gte": lambda bound: lambda value: bool(key(value) >= bound),
        "lt": lambda bound: lambda value: bool(key(value) < bound),
        "lte": lambda bound: lambda value: bool(key(value) <= bound),
    }
    return [made[name](bound) for name, bound in bounds.items()]


def _nothing_left(rules: dict[str, Any]) -> None:
    if rules:
        raise NotUnderstood


def _holds_for_nothing(field: FieldDescriptor, checks: list[Holds]) -> bool:
    """Whether a value that is not there, which is its kind's zero, keeps the rules as well."""
    nothing: Any = {} if _is_map(field) else [] if field.is_repeated else field.default_value
    return all(check(nothing) for check in checks)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _part(field: FieldDescriptor, name: str) -> FieldDescriptor:
    """The key or the value of a map."""
    entry: Any = field.message_type
    part: FieldDescriptor = entry.fields_by_name[name]
    return part


def _always(_value: Any) -> bool:
    """Where there are no rules, which then nobody asks for."""
    return True


def _never(_value: Any) -> bool:
    return False


def _both(one: Holds, other: Holds) -> Holds:
    return lambda value: one(value) and other(value)


def _each(check: Holds) -> Holds:
    if check is math.isfinite:
        return lambda values: math.isfinite(sum(values))  # of vectors: what is not finite stays so in every sum
    return lambda values: all(map(check, values))


def _each_value(check: Holds) -> Holds:
    return lambda pairs: all(map(check, pairs.values()))


def _is_set(name: str) -> Holds:
    return lambda message: bool(message.HasField(name))


def _is_some(name: str) -> Holds:
    return lambda message: bool(getattr(message, name))


def _chosen(name: str) -> Holds:
    return lambda message: message.WhichOneof(name) is not None


_NUMBERS: Final = frozenset(("int32", "int64", "uint32", "uint64", "float", "double"))
_KINDS: Final[dict[str, Callable[[dict[str, Any], FieldDescriptor], list[Holds]]]] = {
    "string": _text,
    "bytes": _octets,
    "repeated": _items,
    "map": _pairs,
    "duration": _duration,
    "enum": _enum,
}
