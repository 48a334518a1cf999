"""Where texts stand in questions and answers: each goes through a function, and what that gives takes its place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errand import InputT

Change = Callable[[str], str]

_PROSE: Final = {"document": ("text", "title", "context"), "audio": ("transcript",), "refusal": ("text",)}
_JSON: Final = {"tool_call": ("arguments_json",), "opaque": ("json",)}
_WORDS: Final = frozenset(("text", "texts", "prompt", "negative_prompt", "query", "documents", "instructions"))


@dataclass(frozen=True, slots=True)
class Rewriter:
    """`plain` is for prose, `json` for JSON, `said` for the text of a message, which may be either."""

    plain: Change
    json: Change
    said: Change

    def question(self, input: chat_pb2.ChatInput) -> None:
        """All that a provider gets to read."""
        for message in input.messages:
            for part in message.parts:
                self.part(part)
        for tool in input.tools:
            _change(tool.function, "description", self.plain)
            _change(tool.function, "parameters_json_schema", self.json)
            _change(tool.hosted, "config_json", self.json)
        for provider, options in input.provider_options_json.items():
            input.provider_options_json[provider] = self.json(options)

    def part(self, part: content_pb2.Part) -> None:
        """Pictures, sounds and files stay as they are."""
        match part.WhichOneof("kind"):
            case "text":
                _change(part.text, "text", self.said)
                for citation in part.text.citations:
                    self.citation(citation)
            case "tool_result":
                self._result(part.tool_result)
            case "reasoning":
                _change(part.reasoning, "text", self.plain)
                part.reasoning.summaries[:] = map(self.plain, part.reasoning.summaries)
            case kind:
                self._simple(part, kind or "")

    def _simple(self, part: content_pb2.Part, kind: str) -> None:
        for name in _PROSE.get(kind, ()):
            _change(getattr(part, kind), name, self.plain)
        for name in _JSON.get(kind, ()):
            _change(getattr(part, kind), name, self.json)

    def citation(self, citation: content_pb2.Citation) -> None:
        for name in ("title", "cited_text", "uri"):
            _change(citation, name, self.plain)
        _change(citation, "provider_json", self.json)

    def _result(self, result: content_pb2.ToolResultPart) -> None:
        for part in result.parts:
            self.part(part)
        _change(result, "structured_json", self.json)


def collected(texts: list[str]) -> Rewriter:
    """Changes nothing, and takes a note of every text."""

    def note(text: str) -> str:
        texts.append(text)
        return text

    return Rewriter(note, note, note)


def change_words(input: InputT, change: Change, json: Change) -> InputT:
    """The words of other work than chat: a copy, in which each is changed; `json` is for the provider's own fields."""
    changed = copy.deepcopy(input)
    for provider, options in changed.provider_options_json.items():
        changed.provider_options_json[provider] = json(options)
    for name in _WORDS.intersection(changed.DESCRIPTOR.fields_by_name):
        if isinstance(words := getattr(changed, name), str):
            _change(changed, name, change)
        else:
            words[:] = map(change, words)
    return changed


def _change(message: Message, name: str, change: Change) -> None:
    """What is empty stays unset."""
    if text := getattr(message, name):
        changed = change(text)
        if changed != text:
            setattr(message, name, changed)
