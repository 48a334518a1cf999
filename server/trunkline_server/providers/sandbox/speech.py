"""What the sandbox says: parts made of words, each word one token."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Final

import msgspec

from trunkline_server.providers.sandbox.question import Question
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.sample import sample
from trunkline_server.providers.sandbox.script import Script, ToolCall

CONTENT: Final = "content"
REASONING: Final = "reasoning_content"
REFUSAL: Final = "refusal"
CALL: Final = "call"

_WORD: Final = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")
_LOREM: Final = [
    "lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "consectetur",
    "adipiscing",
    "elit",
    "sed",
    "do",
    "eiusmod",
    "tempor",
]
_LOREM_WORDS: Final = 20
_REPEATED_CHARS_MAX: Final = 64
_COUNT_WORDS: Final = 10
_COUNT_WORDS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """A text, a thought, a refusal, or the arguments of a call of the tool `name`, the `place`th of the calls."""

    kind: str
    words: Sequence[str]
    name: str = ""
    place: int = 0

    @property
    def text(self) -> str:
        return "".join(self.words)


@dataclass(frozen=True, slots=True)
class Speech:
    """All parts in order, and why they end."""

    parts: Sequence[Part]
    finish_reason: str

    def words(self, kind: str = "") -> int:
        """How many words there are, of one kind or of all."""
        return sum(len(part.words) for part in self.parts if kind in ("", part.kind))


def words_of(text: str) -> Sequence[str]:
    """A text cut before each word, so that the pieces put together are the text."""
    return _WORD.findall(text)


def speech_of(question: Question, script: Script) -> Speech:
    """What the script makes of the question, no longer than the question allows."""
    parts, limit = _parts(question, script), question.words_max
    whole = Speech(parts, _finish_reason(parts))
    if limit is not None and whole.words() > limit and not script.endless:
        whole = Speech(_first_words(parts, limit), "length")
    return replace(whole, finish_reason=script.finish_reason or whole.finish_reason)


def _parts(question: Question, script: Script) -> list[Part]:
    thoughts = [Part(REASONING, words_of(script.reasoning))] if script.reasoning else []
    if script.refusal:
        return [*thoughts, Part(REFUSAL, words_of(script.refusal))]
    calls = script.tool_calls or _call(question, script)
    said = _stopped(_text(question, script, calls), question.stops)
    texts = [Part(CONTENT, words_of(said))] if said else []
    called = [Part(CALL, words_of(_arguments(call)), call.name, place) for place, call in enumerate(calls)]
    return [*thoughts, *texts, *called]


def _text(question: Question, script: Script, calls: Sequence[ToolCall]) -> str:
    if script.text is not None:
        return script.text
    if script.json is not msgspec.UNSET:
        return _spelled(script.json)
    return "" if calls else _ANSWERS[script.answer](question, script)


def _stopped(text: str, stops: Sequence[str]) -> str:
    for stop in filter(None, stops):
        text = text.partition(stop)[0]
    return text


def _first_words(parts: Sequence[Part], limit: int) -> list[Part]:
    kept: list[Part] = []
    for part in parts:
        kept.append(replace(part, words=part.words[:limit]))
        limit -= len(kept[-1].words)
        if not limit:
            break
    return kept


def _finish_reason(parts: Sequence[Part]) -> str:
    return "tool_calls" if any(part.kind == CALL for part in parts) else "stop"


def _call(question: Question, script: Script) -> tuple[ToolCall, ...]:
    """The call that the question asks for, unless its result is there already."""
    tool = question.callable_tool
    if script.answer != "call" or tool is None or question.messages[-1].role == "tool":
        return ()
    arguments = sample(tool.parameters or {"type": "object"})
    return (ToolCall(tool.name, _spelled(arguments)),)


def _arguments(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else _spelled(call.arguments)


def _spelled(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise Refusal(400, "invalid_request", "the answer is nested too deeply") from error


def _echo(question: Question, script: Script) -> str:
    if script.tokens is None:
        return question.heard
    words = [word[:_REPEATED_CHARS_MAX] for word in question.heard.split()] or ["..."]
    return " ".join(islice(cycle(words), script.tokens))


def _lorem(_: Question, script: Script) -> str:
    return " ".join(islice(cycle(_LOREM), _LOREM_WORDS if script.tokens is None else script.tokens))


def _count(question: Question, script: Script) -> str:
    """To the first number in the question."""
    heard = re.search(r"[0-9]{1,6}", question.heard)
    last = script.tokens if script.tokens is not None else int(heard[0]) if heard else _COUNT_WORDS
    return " ".join(str(number) for number in range(1, min(last, _COUNT_WORDS_MAX) + 1))


def _after_call(question: Question, script: Script) -> str:
    last = question.messages[-1]
    return f"The tool says: {last.text}" if last.role == "tool" else _echo(question, script)


def _json(question: Question, _: Script) -> str:
    return _spelled(_value(question))


def _json_wrong(question: Question, _: Script) -> str:
    """A list where an object is wanted, else an object."""
    return "[]" if isinstance(_value(question), dict) else "{}"


def _json_wrong_once(question: Question, script: Script) -> str:
    """Right as soon as the conversation holds an answer: the wrong one."""
    told = any(message.role == "assistant" for message in question.messages)
    return _json(question, script) if told else _json_wrong(question, script)


def _value(question: Question) -> object:
    return {"answer": question.heard} if question.schema is None else sample(question.schema)


_ANSWERS: Final[Mapping[str, Callable[[Question, Script], str]]] = {
    "echo": _echo,
    "lorem": _lorem,
    "count": _count,
    "call": _after_call,
    "json": _json,
    "json_wrong": _json_wrong,
    "json_wrong_once": _json_wrong_once,
}
