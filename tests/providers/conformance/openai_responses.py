"""OpenAI's accents: the one that counts beside its chat completions, and that of its responses."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.conformance.accent import Link
from tests.providers.conformance.openai_chat import Json, OpenAI
from tests.providers.conformance.play import USAGE, Call, Play


class Completions(OpenAI):
    """Models that answer chat completions; their tokens are counted in the other dialect."""

    def count(self, tokens: int) -> object:
        return {"object": "response.input_tokens", "input_tokens": tokens}


class Responses(Completions):
    """Named events about the items of an output; the last one repeats it whole."""

    model = "model-1-pro"

    def whole(self, play: Play) -> object:
        item = self._called(play.call) if play.call else self._said(play.text)
        return self._response(status="completed", output=[item], usage=self.usage())

    def opening(self) -> bytes:
        started = self._event({"type": "response.created", "response": self._response(status="in_progress")})
        item = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
        return started + self._event({"type": "response.output_item.added", "output_index": 0, "item": item})

    def word(self, word: str) -> bytes:
        place = {"output_index": 0, "content_index": 0, "logprobs": []}
        return self._event({"type": "response.output_text.delta", "delta": word, **place})

    def calling(self, play: Play) -> list[bytes]:
        call = play.call or Call("", ())
        begun = self._event({"type": "response.output_item.added", "output_index": 1, "item": self._called(call, "")})
        grown = [{"type": "response.function_call_arguments.delta", "delta": each} for each in call.fragments]
        ended = self._event({"type": "response.output_item.done", "output_index": 1, "item": self._called(call)})
        return [begun, *(self._event({**each, "output_index": 1}) for each in grown), ended]

    def ending(self, play: Play) -> bytes:
        return self._event({"type": "response.completed", "response": self.whole(play)})

    def error_event(self) -> bytes:
        return self._event({"type": "error", "code": "server_error", "message": "secret", "param": None})

    def text_of(self, body: Any) -> str:
        return str(body["input"][0]["content"])

    def tools_of(self, body: Any) -> list[str]:
        return [tool["name"] for tool in body["tools"]]

    def link_of(self, body: Any) -> Link:
        _, call, result = body["input"]
        return Link(call["call_id"], result["call_id"], result["output"])

    def usage(self) -> Json:
        return {
            "input_tokens": USAGE.input_tokens,
            "input_tokens_details": {"cached_tokens": USAGE.cached_input_tokens},
            "output_tokens": USAGE.output_tokens,
            "output_tokens_details": {"reasoning_tokens": USAGE.reasoning_output_tokens},
        }

    def _response(self, **more: object) -> Json:
        return {"id": "resp_1", "object": "response", "model": self.model, "error": None, "usage": None, **more}

    def _said(self, text: str) -> Json:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}

    def _called(self, call: Call, arguments: str | None = None) -> Json:
        said = call.arguments if arguments is None else arguments
        return {"type": "function_call", "id": "fc_1", "call_id": self.call_id, "name": call.name, "arguments": said}

    def _event(self, event: Json) -> bytes:
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
