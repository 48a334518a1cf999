"""Python types as JSON Schema, and JSON as values of those types.

Dataclasses, pydantic models, `TypedDict`, enums, literals, unions, lists, tuples, dictionaries and the plain types.
Pydantic is known by its methods and never imported.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Schema = dict[str, Any]

_PLAIN: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
    object: {},
    dict: {"type": "object"},
    list: {"type": "array"},
}
_LISTS: Final = (list, tuple, set, frozenset, Sequence)
_MARKS: Final = (typing.Required, typing.NotRequired)
_OBJECTS: Final = (dict, Mapping)
_UNIONS: Final = (Union, types.UnionType)


def schema_of(shape: Any) -> Schema:
    """The JSON Schema of a type. Raises `TypeError` for one that JSON cannot hold."""
    definitions: dict[str, Schema] = {}
    schema = _schema(shape, definitions, ())
    return schema | {"$defs": definitions} if definitions else schema


def object_schema(fields: Mapping[str, Any], required: Sequence[str]) -> Schema:
    """The schema of an object with these fields and nothing else."""
    definitions: dict[str, Schema] = {}
    schema = _object(fields, required, definitions, ())
    return schema | {"$defs": definitions} if definitions else schema


def build(shape: type[T], value: Any) -> T:
    """A value that JSON gave, as one of this type. Raises `ValueError` or `TypeError` where it is none."""
    return typing.cast("T", _built(shape, value))


def parse(shape: type[T], text: str) -> T:
    return build(shape, json.loads(text))


def jsonable(value: Any) -> Any:
    """For `json.dumps(default=...)`: dataclasses, pydantic models, enums, sets."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


# Types to schemas.


def _schema(shape: Any, definitions: dict[str, Schema], within: tuple[Any, ...]) -> Schema:
    origin = get_origin(shape)
    if origin is typing.Annotated:
        inner, *notes = get_args(shape)
        return _schema(inner, definitions, within) | _description(notes)
    if origin is None:
        return dict(_PLAIN[shape]) if shape in _PLAIN else _class(shape, definitions, within)
    if origin is Literal:
        return {"enum": list(get_args(shape))}
    if origin in _LISTS:
        return _list(origin, get_args(shape), definitions, within)
    return _compound(origin, get_args(shape), definitions, within)


def _compound(origin: Any, of: tuple[Any, ...], definitions: dict[str, Schema], within: tuple[Any, ...]) -> Schema:
    if origin in _UNIONS:
        return {"anyOf": [_schema(each, definitions, within) for each in of]}
    if origin in _OBJECTS:
        return {"type": "object", "additionalProperties": _schema(of[1], definitions, within)}
    if origin in _MARKS:
        return _schema(of[0], definitions, within)
    return _class(origin, definitions, within)


def _class(shape: Any, definitions: dict[str, Schema], within: tuple[Any, ...]) -> Schema:
    if shape in within:
        raise TypeError(f"{shape.__name__!r} holds itself, which a schema of ours cannot say; use a pydantic model")
    if hasattr(shape, "model_json_schema"):
        schema: Schema = shape.model_json_schema()
        definitions.update(schema.pop("$defs", {}))
        return schema
    if isinstance(shape, type) and issubclass(shape, enum.Enum):
        return {"enum": [member.value for member in shape]}
    if not _is_record(shape):
        raise TypeError(f"{shape!r} has no JSON Schema; use plain types, a dataclass or a pydantic model")
    about = {"description": shape.__doc__.strip()} if _is_documented(shape) else {}
    return _object(get_type_hints(shape, include_extras=True), _required(shape), definitions, (*within, shape)) | about


def _object(
    fields: Mapping[str, Any], required: Sequence[str], definitions: dict[str, Schema], within: tuple[Any, ...]
) -> Schema:
    return {
        "type": "object",
        "properties": {name: _schema(shape, definitions, within) for name, shape in fields.items()},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(origin: Any, items: tuple[Any, ...], definitions: dict[str, Schema], within: tuple[Any, ...]) -> Schema:
    if origin is tuple and items[-1] is not Ellipsis:
        prefix = [_schema(each, definitions, within) for each in items]
        return {"type": "array", "prefixItems": prefix, "minItems": len(prefix), "maxItems": len(prefix)}
    unique = {"uniqueItems": True} if origin in (set, frozenset) else {}
    return {"type": "array", "items": _schema(items[0], definitions, within)} | unique


def _description(notes: Sequence[Any]) -> Schema:
    words = [note for note in notes if isinstance(note, str)]
    return {"description": words[0]} if words else {}


def _required(shape: Any) -> list[str]:
    if not dataclasses.is_dataclass(shape):
        return [name for name, each in get_type_hints(shape, include_extras=True).items() if _is_required(shape, each)]
    missing = dataclasses.MISSING
    return [
        each.name for each in dataclasses.fields(shape) if each.default is missing and each.default_factory is missing
    ]


def _is_required(record: Any, shape: Any) -> bool:
    """Of a `TypedDict`, which does not know by itself where its types are given as text."""
    mark = get_origin(shape)
    return mark is typing.Required if not record.__total__ else mark is not typing.NotRequired


def _is_record(shape: Any) -> bool:
    return dataclasses.is_dataclass(shape) or typing.is_typeddict(shape)


def _is_documented(shape: Any) -> bool:
    """A dataclass without words of its own gets its signature for a docstring."""
    return bool(shape.__doc__) and not shape.__doc__.startswith(f"{shape.__name__}(")


# JSON to values.


def _built(shape: Any, value: Any) -> Any:
    origin = get_origin(shape)
    if origin is typing.Annotated:
        return _built(get_args(shape)[0], value)
    if origin in _UNIONS:
        return _one_of(get_args(shape), value)
    if origin in _LISTS:
        return _items(origin, get_args(shape), value)
    if origin in _OBJECTS:
        return {name: _built(get_args(shape)[1], each) for name, each in _checked(value, dict).items()}
    if origin is Literal:
        return _member(get_args(shape), value)
    return _instance(shape, value)


def _instance(shape: Any, value: Any) -> Any:
    if hasattr(shape, "model_validate"):
        return shape.model_validate(value)
    if _is_record(shape):
        return _record(shape, value)
    if isinstance(shape, type) and issubclass(shape, enum.Enum):
        return shape(value)
    return value if shape is Any or shape is object else _checked(value, shape)


def _record(shape: Any, value: Any) -> Any:
    hints = get_type_hints(shape)
    given = _checked(value, dict)
    unknown = given.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{shape.__name__} has no {', '.join(sorted(unknown))}")
    return shape(**{name: _built(hints[name], each) for name, each in given.items()})


def _items(origin: Any, items: tuple[Any, ...], value: Any) -> Any:
    given = _checked(value, list)
    if origin is tuple and items[-1] is not Ellipsis:
        return tuple(_built(shape, each) for shape, each in zip(items, given, strict=True))
    built = (_built(items[0], each) for each in given)
    return list(built) if origin is Sequence else origin(built)


def _one_of(shapes: Sequence[Any], value: Any) -> Any:
    for shape in shapes:
        try:
            return _built(shape, value)
        except (TypeError, ValueError):
            continue
    raise ValueError(f"{value!r} is none of {', '.join(map(str, shapes))}")


def _member(members: Sequence[Any], value: Any) -> Any:
    if value not in members:
        raise ValueError(f"{value!r} is none of {', '.join(map(repr, members))}")
    return value


def _checked(value: Any, shape: Any) -> Any:
    """JSON has one kind of number, and `True` is none of them."""
    if shape is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, shape) or (isinstance(value, bool) and shape is not bool):
        raise TypeError(f"{value!r} is no {shape.__name__}")
    return value
