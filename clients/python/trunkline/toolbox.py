"""Functions of the caller's that a model may call."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_type_hints

from trunkline import shapes
from trunkline.answer import ToolCall
from trunkline.v1 import content_pb2

Function: TypeAlias = Callable[..., Any]
_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class ToolError(Exception):
    """Raised by a function: the model is told these words, and goes on. Any other exception goes to the caller."""


@dataclass(frozen=True)
class Toolbox:
    """Functions by the names that the model knows them under."""

    functions: Mapping[str, Function]

    @classmethod
    def of(cls, functions: Sequence[Function]) -> Toolbox:
        return cls({function.__name__: function for function in functions})

    def with_more(self, functions: Sequence[Function]) -> Toolbox:
        return Toolbox({**self.functions, **self.of(functions).functions})

    def can_run(self, calls: Sequence[ToolCall]) -> bool:
        """Whether there is something to run, and a function for all of it."""
        return bool(calls) and all(call.name in self.functions for call in calls)

    def run(self, calls: Sequence[ToolCall]) -> list[Result]:
        """One after the other."""
        return [self._run(call) for call in calls]

    async def run_async(self, calls: Sequence[ToolCall]) -> list[Result]:
        """All at once; functions that do not wait are called in place. Where one fails for good, none goes on."""
        running = [asyncio.ensure_future(self._run_async(call)) for call in calls]
        try:
            return list(await asyncio.gather(*running))
        finally:
            for each in running:
                each.cancel()

    def _run(self, call: ToolCall) -> Result:
        try:
            value = self._called(call)
        except ToolError as error:
            return Result(call, str(error), failed=True)
        if inspect.isawaitable(value):
            _forget(value)
            raise TypeError(f"the tool {call.name!r} is asynchronous: use AsyncTrunkline")
        return Result.of(call, value)

    async def _run_async(self, call: ToolCall) -> Result:
        try:
            value = self._called(call)
            return Result.of(call, await value if inspect.isawaitable(value) else value)
        except ToolError as error:
            return Result(call, str(error), failed=True)

    def _called(self, call: ToolCall) -> Any:
        function = self.functions[call.name]
        return function(**_arguments(function, call))


@dataclass(frozen=True)
class Result:
    """What a function gave: a text as it is, anything else as JSON."""

    call: ToolCall
    text: str
    failed: bool = False

    @classmethod
    def of(cls, call: ToolCall, value: Any) -> Result:
        text = value if isinstance(value, str) else json.dumps(value, default=shapes.jsonable, ensure_ascii=False)
        return cls(call, text)

    def part(self) -> content_pb2.Part:
        said = content_pb2.Part(text=content_pb2.TextPart(text=self.text))
        return content_pb2.Part(
            tool_result=content_pb2.ToolResultPart(
                call_id=self.call.call_id, name=self.call.name, parts=[said], is_error=self.failed
            )
        )


def declaration(function: Function) -> content_pb2.Tool:
    """A function as the model sees it: its name, its docstring, the types of its arguments."""
    hints = _hints(function)
    required = [
        name for name, each in inspect.signature(function).parameters.items() if each.default is inspect.Parameter.empty
    ]
    return content_pb2.Tool(
        function=content_pb2.FunctionTool(
            name=function.__name__,
            description=inspect.getdoc(function) or "",
            parameters_json_schema=json.dumps(shapes.object_schema(hints, required)),
        )
    )


def _hints(function: Function) -> dict[str, Any]:
    """The types of the arguments, all of which must be told."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    for name, each in parameters.items():
        if each.kind not in _NAMED or name not in hints:
            raise TypeError(f"the tool {function.__name__!r} needs a type for {name!r}, and arguments with names")
    return {name: hints[name] for name in parameters}


def _arguments(function: Function, call: ToolCall) -> dict[str, Any]:
    """What the model gave, as the types that the function wants; wrong ones are told to the model."""
    hints = _hints(function)
    try:
        given = {name: shapes.build(hints[name], value) for name, value in call.arguments.items()}
        inspect.signature(function).bind(**given)
    except KeyError as error:
        raise ToolError(f"there is no argument {error}") from None
    except (TypeError, ValueError) as error:
        raise ToolError(f"wrong arguments: {error}") from None
    return given


def _forget(value: Awaitable[Any]) -> None:
    if inspect.iscoroutine(value):
        value.close()
