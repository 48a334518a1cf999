"""Tasks: texts put to use, with answers that have a type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar, Unpack

from trunkline.aio.connection import AsyncConnection
from trunkline.calling import Call
from trunkline.shapes import parse, schema_of
from trunkline.tasks import (
    Classified,
    Code,
    Credits,
    Done,
    Formality,
    Kind,
    Labels,
    Length,
    Style,
    formality_of,
    glossary_of,
    kind_of,
    labels_of,
    length_of,
    options_of,
    style_of,
)
from trunkline.v1 import tasks_pb2, tasks_pb2_grpc

T = TypeVar("T")


class AsyncTasks:
    """`model`: the gateway's own for the task where none is named. `max_cost`: for all its calls together.

    `also` takes what there is no word for here, as the contract spells it.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._stub = tasks_pb2_grpc.TaskServiceStub(connection.channel)

    async def classify(
        self,
        text: str,
        labels: Labels = (),
        *,
        kind: Kind | None = None,
        several: bool = False,
        threshold: float = 0.0,
        instructions: str = "",
        examples: Mapping[str, str] | None = None,
        model: str = "",
        max_cost: Credits | None = None,
        also: tasks_pb2.TaskOptions | None = None,
        **call: Unpack[Call],
    ) -> Done[Classified]:
        """By labels of your own, or by a `kind`. `several` may fit, from `threshold` on. `examples`: text to label."""
        given = tasks_pb2.ClassifyInput(
            text=text,
            kind=kind_of(kind),
            labels=labels_of(labels),
            multi_label=several,
            threshold=threshold,
            instructions=instructions,
            examples=[tasks_pb2.ClassExample(text=each, label=label) for each, label in (examples or {}).items()],
        )
        request = tasks_pb2.ClassifyRequest(classify=given, options=options_of(model, max_cost, also))
        told = await self._connection.call(self._stub.Classify, request, **call)
        return Done(Classified.of(told.result), told.receipt)

    async def extract(
        self,
        text: str,
        shape: type[T],
        *,
        instructions: str = "",
        model: str = "",
        max_cost: Credits | None = None,
        also: tasks_pb2.TaskOptions | None = None,
        **call: Unpack[Call],
    ) -> Done[T]:
        """What a text says, as a dataclass, a pydantic model or a `TypedDict`."""
        given = tasks_pb2.ExtractInput(text=text, json_schema=json.dumps(schema_of(shape)), instructions=instructions)
        request = tasks_pb2.ExtractRequest(extract=given, options=options_of(model, max_cost, also))
        told = await self._connection.call(self._stub.Extract, request, **call)
        return Done(parse(shape, told.result.json), told.receipt)

    async def summarize(
        self,
        text: str,
        *,
        length: Length | None = None,
        words_max: int = 0,
        style: Style | None = None,
        focus: str = "",
        language: str = "",
        model: str = "",
        max_cost: Credits | None = None,
        also: tasks_pb2.TaskOptions | None = None,
        **call: Unpack[Call],
    ) -> Done[str]:
        """The same in fewer words."""
        given = tasks_pb2.SummarizeInput(
            text=text,
            length=length_of(length),
            words_max=words_max,
            style=style_of(style),
            focus=focus,
            language=language,
        )
        request = tasks_pb2.SummarizeRequest(summarize=given, options=options_of(model, max_cost, also))
        told = await self._connection.call(self._stub.Summarize, request, **call)
        return Done(told.result.text, told.receipt)

    async def translate(
        self,
        text: str,
        to: str,
        *,
        source: str = "",
        formality: Formality | None = None,
        glossary: Mapping[str, str] | None = None,
        model: str = "",
        max_cost: Credits | None = None,
        also: tasks_pb2.TaskOptions | None = None,
        **call: Unpack[Call],
    ) -> Done[str]:
        """The same in another language. `source`: the language that it is in, where you know."""
        given = tasks_pb2.TranslateInput(
            text=text,
            source_language=source,
            target_language=to,
            formality=formality_of(formality),
            glossary=glossary_of(glossary or {}),
        )
        request = tasks_pb2.TranslateRequest(translate=given, options=options_of(model, max_cost, also))
        told = await self._connection.call(self._stub.Translate, request, **call)
        return Done(told.result.text, told.receipt)

    async def code(
        self,
        language: str,
        instructions: str,
        *,
        context: str = "",
        model: str = "",
        max_cost: Credits | None = None,
        also: tasks_pb2.TaskOptions | None = None,
        **call: Unpack[Call],
    ) -> Done[Code]:
        """A program, or a part of one. `context`: code that it has to fit."""
        given = tasks_pb2.GenerateCodeInput(language=language, instructions=instructions, context=context)
        request = tasks_pb2.GenerateCodeRequest(generate_code=given, options=options_of(model, max_cost, also))
        told = await self._connection.call(self._stub.GenerateCode, request, **call)
        return Done(Code(told.result.code, told.result.explanation, told.result.language), told.receipt)
