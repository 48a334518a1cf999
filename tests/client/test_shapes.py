"""Python types as JSON Schema and back, and functions as tools."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pydantic
import pytest

from trunkline.answer import ToolCall
from trunkline.shapes import build, parse, schema_of
from trunkline.toolbox import Toolbox, declaration


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Place(TypedDict):
    x: float
    note: NotRequired[str]


class Owner(pydantic.BaseModel):
    name: str


class Fleet(pydantic.BaseModel):
    owners: list[Owner]


@dataclass
class Car:
    """A car."""

    name: str
    colour: Colour
    place: Place
    owner: Owner
    tags: set[str]
    size: tuple[int, int]
    doors: Literal[3, 5]
    parts: Mapping[str, int]
    previous: list[Owner] = field(default_factory=list)
    price: Annotated[float | None, "in euros"] = None
    more: Any = None


@dataclass
class Node:
    children: list[Node]


CAR = {
    "name": "Beetle",
    "colour": "blue",
    "place": {"x": 1},
    "owner": {"name": "Ada"},
    "tags": ["old"],
    "size": [4, 2],
    "doors": 3,
    "parts": {"wheels": 4},
    "price": 12,
}


def test_a_dataclass_is_an_object_with_nothing_else() -> None:
    schema = schema_of(Car)

    assert schema["description"] == "A car."
    assert schema["required"] == ["name", "colour", "place", "owner", "tags", "size", "doors", "parts"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert properties["colour"] == {"enum": ["red", "blue"]}
    assert properties["place"]["required"] == ["x"]
    assert properties["tags"] == {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    assert properties["doors"] == {"enum": [3, 5]}
    assert properties["price"] == {"anyOf": [{"type": "number"}, {"type": "null"}], "description": "in euros"}
    assert properties["size"]["minItems"] == properties["size"]["maxItems"] == 2


def test_definitions_of_pydantic_move_to_the_top() -> None:
    schema = schema_of(list[Fleet])

    assert "$defs" not in schema["items"]
    assert schema["$defs"]["Owner"]["required"] == ["name"]


def test_json_becomes_the_value_that_it_describes() -> None:
    car = parse(Car, json.dumps(CAR))

    assert car == Car(
        "Beetle", Colour.BLUE, {"x": 1.0}, Owner(name="Ada"), {"old"}, (4, 2), 3, {"wheels": 4}, price=12.0
    )


@pytest.mark.parametrize(
    "change", [{"doors": 4}, {"name": 1}, {"name": None}, {"size": [1]}, {"wings": 2}, {"owner": {}}, {"tags": "old"}]
)
def test_json_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        build(Car, CAR | change)


def test_a_flag_is_no_number() -> None:
    with pytest.raises(TypeError):
        build(int, True)


@pytest.mark.parametrize("shape", [Node, object(), bytes])
def test_what_has_no_schema_says_so(shape: Any) -> None:
    with pytest.raises(TypeError):
        schema_of(shape)


def find(query: str, colours: Sequence[Colour], limit: Annotated[int, "At most"] = 3) -> list[str]:
    """Finds cars."""
    return [query, *(colour.name for colour in colours), str(limit)]


def test_a_function_is_declared_by_its_types() -> None:
    function = declaration(find).function

    assert (function.name, function.description) == ("find", "Finds cars.")
    assert json.loads(function.parameters_json_schema) == {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "colours": {"type": "array", "items": {"enum": ["red", "blue"]}},
            "limit": {"type": "integer", "description": "At most"},
        },
        "required": ["query", "colours"],
        "additionalProperties": False,
    }


def test_arguments_arrive_as_the_types_that_the_function_wants() -> None:
    [result] = Toolbox.of([find]).run([ToolCall("1", "find", '{"query": "fast", "colours": ["red"]}')])

    assert result.text == '["fast", "RED", "3"]'


@pytest.mark.parametrize(
    "arguments", ["{", "[]", '{"query": "x"}', '{"query": 1, "colours": []}', '{"query": "x", "colours": [], "b": 1}']
)
def test_wrong_arguments_are_told_to_the_model(arguments: str) -> None:
    [result] = Toolbox.of([find]).run([ToolCall("1", "find", arguments)])

    assert result.failed


def test_a_function_without_types_is_no_tool() -> None:
    def untyped(query):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return query

    with pytest.raises(TypeError, match="needs a type for 'query'"):
        declaration(untyped)
