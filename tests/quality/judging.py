"""How well a model does tasks whose right answers are known: the share of points that its answers get."""

from __future__ import annotations

import ast
import asyncio
import json
import subprocess
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from trunkline.v1 import tasks_pb2, tasks_pb2_grpc

Case = dict[str, Any]
Metadata = tuple[tuple[str, str], ...]
RUN_S: Final = 10.0


def cases() -> Mapping[str, list[Case]]:
    return tomllib.loads(Path(__file__).with_name("cases.toml").read_text("utf-8"))


class Judge:
    """Asks one model through a gateway. `runs_code`: what it writes is run, in a process of its own."""

    def __init__(
        self, tasks: tasks_pb2_grpc.TaskServiceAsyncStub, metadata: Metadata, model: str, *, runs_code: bool
    ) -> None:
        self._tasks = tasks
        self._metadata = metadata
        self._options = tasks_pb2.TaskOptions(model=model)
        self._runs_code = runs_code

    async def scores(self) -> dict[str, float]:
        """By task, 0 to 1."""
        judges: Mapping[str, Callable[[Case], Awaitable[float]]] = {
            "classify": self._classify,
            "extract": self._extract,
            "summarize": self._summarize,
            "translate": self._translate,
            "generate_code": self._generate_code,
        }
        points = {task: [await judges[task](case) for case in those] for task, those in cases().items()}
        return {task: sum(those) / len(those) for task, those in points.items()}

    async def _classify(self, case: Case) -> float:
        kind = tasks_pb2.ClassifyKind.Value(f"CLASSIFY_KIND_{case.get('kind', 'LABELS')}")
        given = tasks_pb2.ClassifyInput(text=case["text"], kind=kind)
        for label in case.get("labels", []):
            given.labels.add(name=label)
        request = tasks_pb2.ClassifyRequest(classify=given, options=self._options)
        told = await self._tasks.Classify(request, metadata=self._metadata)
        return float(told.result.label == case["label"])

    async def _extract(self, case: Case) -> float:
        given = tasks_pb2.ExtractInput(text=case["text"])
        for name, type_ in case["fields"].items():
            given.fields.add(name=name, type=f"EXTRACT_TYPE_{type_}")
        request = tasks_pb2.ExtractRequest(extract=given, options=self._options)
        found = json.loads((await self._tasks.Extract(request, metadata=self._metadata)).result.json)
        return _share(found.get(name) == case["found"].get(name) for name in case["fields"])

    async def _summarize(self, case: Case) -> float:
        given = tasks_pb2.SummarizeInput(text=case["text"], words_max=case["words_max"])
        request = tasks_pb2.SummarizeRequest(summarize=given, options=self._options)
        text = (await self._tasks.Summarize(request, metadata=self._metadata)).result.text
        return _share([len(text.split()) <= case["words_max"] * 1.2, *_mentions(text, case)])

    async def _translate(self, case: Case) -> float:
        given = tasks_pb2.TranslateInput(text=case["text"], target_language=case["target"])
        for source, target in case.get("glossary", {}).items():
            given.glossary.add(source=source, target=target)
        request = tasks_pb2.TranslateRequest(translate=given, options=self._options)
        return _share(_mentions((await self._tasks.Translate(request, metadata=self._metadata)).result.text, case))

    async def _generate_code(self, case: Case) -> float:
        given = tasks_pb2.GenerateCodeInput(language=case["language"], instructions=case["instructions"])
        request = tasks_pb2.GenerateCodeRequest(generate_code=given, options=self._options)
        code = (await self._tasks.GenerateCode(request, metadata=self._metadata)).result.code
        if not self._runs_code:
            return float(_parses(code))
        return _share([await asyncio.to_thread(gives, code, *each) for each in case["calls"].items()])


def _share(right: Iterable[bool]) -> float:
    points = list(right)
    return sum(points) / len(points)


def _mentions(text: str, case: Case) -> list[bool]:
    return [word.lower() in text.lower() for word in case["mentions"]]


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def gives(code: str, call: str, value: Any) -> bool:
    """Whether the call, behind the code, gives the value; in a process without our environment."""
    program = f"{code}\nprint(repr({call}))"
    try:
        ran = subprocess.run(
            [sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=RUN_S, env={}, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return False
    return ran.stdout.strip() == repr(value)
