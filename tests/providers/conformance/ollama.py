"""The accent of Ollama's own API. Questions to it look like those of chat completions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from tests.providers.conformance import troubles
from tests.providers.conformance.openai_chat import OpenAI
from tests.providers.conformance.play import USAGE, Call, Play
from trunkline.v1 import usage_pb2

Json = dict[str, Any]


class Ollama(OpenAI):
    """A JSON text a line, whole tool calls that end in a stop, no ids, and no parts of the totals."""

    model = "llama3.2"
    gives_ids = False
    stream_type = "application/x-ndjson"
    usage_told = usage_pb2.Usage(
        input_tokens=USAGE.input_tokens, output_tokens=USAGE.output_tokens, source=usage_pb2.USAGE_SOURCE_PROVIDER
    )
    troubles = troubles.OLLAMA

    def whole(self, play: Play) -> object:
        calls = [_whole_call(play.call)] if play.call else []
        return {**self._said({"content": play.text, "tool_calls": calls}), **_END}

    def opening(self) -> bytes:
        return self._line({"content": ""})

    def word(self, word: str) -> bytes:
        return self._line({"content": word})

    def calling(self, play: Play) -> list[bytes]:
        return [self._line({"content": "", "tool_calls": [_whole_call(play.call or Call("", ()))]})]

    def ending(self, play: Play) -> bytes:
        return self._line({"content": ""}, **_END)

    def error_event(self) -> bytes:
        return b'{"error":"secret"}\n'

    def models(self, names: Sequence[str]) -> object:
        return {"models": [{"name": name, "model": name} for name in names]}

    def _said(self, message: Json, **more: object) -> Json:
        return {"model": self.model, "message": {"role": "assistant", **message}, "done": False, **more}

    def _line(self, message: Json, **more: object) -> bytes:
        return json.dumps(self._said(message, **more)).encode() + b"\n"


_END: Final[Json] = {
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": USAGE.input_tokens,
    "eval_count": USAGE.output_tokens,
}


def _whole_call(call: Call) -> Json:
    return {"function": {"index": 0, "name": call.name, "arguments": json.loads(call.arguments)}}
