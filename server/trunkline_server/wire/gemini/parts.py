"""Spells the parts of a message, one part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import orjson

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import invalid
from trunkline_server.wire.dialect import arguments, raw
from trunkline_server.wire.gemini.blobs import encode_blob
from trunkline_server.wire.gemini.notes import ANSWER_ONLY

Block = dict[str, object] | orjson.Fragment


class PartEncoder:
    """Knows the question, and by what names its calls are called: a result must say the name again."""

    def __init__(self, ask: Ask, *, early: bool, files_url: str) -> None:
        self._ask = ask
        self._early = early
        self._files_url = files_url
        self._names = call_names(ask.input.messages)
        self._kinds: Mapping[str, Callable[[content_pb2.Part, str], list[Block]]] = {
            "text": lambda part, _: [{"text": part.text.text}],
            "refusal": lambda part, _: [{"text": part.refusal.text}],
            "reasoning": lambda part, _: self._reasoning(part.reasoning),
            "image": lambda part, path: [self._blob(part.image.blob, f"{path}.image.blob")],
            "audio": lambda part, path: self._audio(part.audio, path),
            "video": lambda part, path: [self._blob(part.video.blob, f"{path}.video.blob")],
            "document": lambda part, path: self._document(part.document, path),
            "tool_call": lambda part, _: self._call(part.tool_call),
            "tool_result": lambda part, path: self._result(part.tool_result, path),
            "opaque": lambda part, path: self._opaque(part.opaque, path),
        }

    def encode(self, parts: Iterable[content_pb2.Part], path: str) -> list[Block]:
        """The provider's blocks: mostly one for a part, sometimes none or more."""
        return [block for number, part in enumerate(parts) for block in self._part(part, f"{path}.parts[{number}]")]

    def _part(self, part: content_pb2.Part, path: str) -> list[Block]:
        self._hint(part, path)
        if self._is_foreign(part):
            self._warn_foreign(path)
            if part.HasField("reasoning") or _is_run(part):
                return []
        elif _is_run(part):
            return self._run(part, path)
        blocks = self._kinds[part.WhichOneof("kind") or "text"](part, path)
        fields = self._own_fields(part, path)
        return _signed(blocks, fields) if fields else blocks

    def _reasoning(self, reasoning: content_pb2.ReasoningPart) -> list[Block]:
        texts = [reasoning.text, *reasoning.summaries]
        return [{"text": text, "thought": True} for text in texts if text]

    def _blob(self, blob: content_pb2.Blob, path: str) -> Block:
        return encode_blob(blob, path, self._files_url)

    def _audio(self, audio: content_pb2.AudioPart, path: str) -> list[Block]:
        if audio.transcript:
            self._ask.drop(f"{path}.audio.transcript", "this provider hears the sound itself")
        return [self._blob(audio.blob, f"{path}.audio.blob")]

    def _document(self, document: content_pb2.DocumentPart, path: str) -> list[Block]:
        """Title and context have no place of their own, so they stand before the content, where the model sees them."""
        blocks: list[Block] = [{"text": text} for text in (document.title, document.context) if text]
        if document.WhichOneof("body") == "text":
            return [*blocks, {"text": document.text}]
        return [*blocks, self._blob(document.blob, f"{path}.document.blob")]

    def _call(self, call: content_pb2.ToolCallPart) -> list[Block]:
        return [{"functionCall": {"id": call.call_id, "name": call.name, "args": arguments(call)}}]

    def _result(self, result: content_pb2.ToolResultPart, path: str) -> list[Block]:
        blocks = self.encode(result.parts, f"{path}.tool_result")
        texts = [block["text"] for block in blocks if isinstance(block, dict) and "text" in block]
        media = [block for block in blocks if not (isinstance(block, dict) and "text" in block)]
        response: dict[str, object] = {
            "id": result.call_id,
            "name": result.name or self._names.get(result.call_id, ""),
            "response": _response(result, texts),
        }
        if self._early or not media:
            return [{"functionResponse": response}, *media]
        return [{"functionResponse": {**response, "parts": media}}]

    def _opaque(self, opaque: content_pb2.OpaquePart, path: str) -> list[Block]:
        if opaque.provider != self._ask.provider:
            self._warn_foreign(path)
            return []
        return [] if opaque.type in ANSWER_ONLY else [raw(opaque.json)]

    def _run(self, part: content_pb2.Part, path: str) -> list[Block]:
        """What the provider itself ran goes back as the block that it was."""
        if not part.HasField("provider_state"):
            self._warn_foreign(path)
            return []
        self._own_fields(part, path)
        return [raw(part.provider_state.data.decode())]

    def _is_foreign(self, part: content_pb2.Part) -> bool:
        return part.HasField("provider_state") and part.provider_state.provider != self._ask.provider

    def _own_fields(self, part: content_pb2.Part, path: str) -> dict[str, object]:
        if not part.HasField("provider_state") or self._is_foreign(part):
            return {}
        try:
            fields = orjson.loads(part.provider_state.data)
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict):
            raise invalid(f"input.{path}.provider_state.data", "is not what the provider gave")
        return fields

    def _warn_foreign(self, path: str) -> None:
        code = chat_pb2.WARNING_CODE_PROVIDER_STATE_DROPPED
        if all(warning.code != code for warning in self._ask.warnings):
            self._ask.warn(code, path, "state of another provider was left out")

    def _hint(self, part: content_pb2.Part, path: str) -> None:
        if part.HasField("cache_hint"):
            self._ask.drop(f"{path}.cache_hint", "this provider decides itself what it caches")


def call_names(messages: Iterable[content_pb2.Message]) -> Mapping[str, str]:
    """The tools' names, by the ids of their calls."""
    calls = (part.tool_call for message in messages for part in message.parts if part.HasField("tool_call"))
    return {call.call_id: call.name for call in calls}


def _is_run(part: content_pb2.Part) -> bool:
    """Whether the provider called a tool of its own."""
    return part.HasField("tool_call") and part.tool_call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER


def _signed(blocks: list[Block], fields: dict[str, object]) -> list[Block]:
    """A signature goes back as it came: beside the words, or on its own after them."""
    if "text" in fields:
        return [*(block for block in blocks if block != {"text": ""}), fields]
    *before, last = blocks or [{}]
    return [*before, {**last, **fields} if isinstance(last, dict) else last]


def _response(result: content_pb2.ToolResultPart, texts: list[object]) -> object:
    """The provider takes an object only: data that is one goes in as it is, anything else under a key that it knows."""
    data = result.structured_json
    if data.lstrip().startswith("{") and not texts and not result.is_error:
        return raw(data)
    said = texts[0] if len(texts) == 1 else texts or ""
    response: dict[str, object] = {"error" if result.is_error else "output": raw(data) if data else said}
    return {**response, "text": said} if data and texts else response
