"""Where a provider plays: its declaration, opened as the gateway would, before a scripted server; or the sandbox."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from tests.fixtures.upstream import CLOSE, RESET, Step
from tests.fixtures.upstream import Answer as Served
from tests.fixtures.upstream import Upstream as Server
from tests.providers.conformance.accent import Accent, spelled
from tests.providers.conformance.openai_chat import OpenAI
from tests.providers.conformance.play import USAGE, Play
from trunkline.v1 import chat_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind
from trunkline_server.providers.client import ClientSettings, Response
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import ProviderSettings, Registry
from trunkline_server.providers.sandbox import SANDBOX, SandboxTransport
from trunkline_server.wire.http import HttpRequest

KEY: Final = "key-canary-0123456789"
PREFIX: Final = "/some/prefix"


class Stage(ABC):
    """One provider, and whoever plays its part."""

    upstream: Upstream
    accent: Accent

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        """Set by whoever listens, once the answer has begun: a reset may take with it what was not yet read."""

    @abstractmethod
    def script(self, play: Play, *, stream: bool) -> dict[str, object]:
        """Arranges that the next call gets this; what the call must carry for it."""

    @abstractmethod
    def fail(self, kind: FailureKind) -> dict[str, object]:
        """The same with a failure."""

    @abstractmethod
    def body(self) -> Any:
        """The last question, as it came over the wire."""

    @abstractmethod
    async def left(self) -> None:
        """Waits until the caller has gone in the middle of an answer."""

    def ask(self, input: chat_pb2.ChatInput, options: dict[str, object], *, stream: bool) -> Ask:
        return Ask(self.upstream.name, self.accent.model, input, options, stream=stream, max_output_tokens=64)


class ServerStage(Stage):
    """A declared provider; the server speaks with its accent."""

    def __init__(self, upstream: Upstream, accent: Accent, server: Server) -> None:
        super().__init__()
        self.upstream = upstream
        self.accent = accent
        self.server = server
        self._served: Served | None = None

    def script(self, play: Play, *, stream: bool) -> dict[str, object]:
        if stream:
            self._served = self.server.stream(self._steps(play), content_type=self.accent.stream_type)
        else:
            self._served = self.server.reply(spelled(self.accent.whole(play)))
        return {}

    def fail(self, kind: FailureKind) -> dict[str, object]:
        if kind is FailureKind.BROKEN:
            self.server.reply(b"<!doctype html>", headers={"content-type": "text/html"})
            return {}
        trouble = self.accent.trouble(kind)
        self.server.reply(spelled(trouble.body), status=trouble.status, headers=trouble.headers)
        return {}

    def body(self) -> Any:
        return self.server.requests[-1].json()

    async def left(self) -> None:
        assert self._served
        await self._served.client_left()

    def _steps(self, play: Play) -> Sequence[Step]:
        pieces = self.accent.pieces(play)
        said = pieces[: 1 + play.after]
        match play.end:
            case "cut":
                return said
            case "reset":
                return [*said, self.heard, RESET]
            case "stall":
                return [*said, asyncio.Event()]
            case "error":
                return [*said, self.accent.error_event(), CLOSE]
            case _:
                return pieces


class SandboxStage(Stage):
    """The sandbox plays itself; what it is asked is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.accent = Sandbox()
        self._gone = asyncio.Event()
        self._asked: list[HttpRequest] = []
        self._transport = SandboxTransport(ClientSettings(), self._sleep)
        self.upstream = Upstream(SANDBOX, self)

    @asynccontextmanager
    async def open(self, request: HttpRequest) -> AsyncIterator[Response]:
        self._asked.append(request)
        async with self._transport.open(request) as response:
            yield response

    def script(self, play: Play, *, stream: bool) -> dict[str, object]:
        lines: dict[str, object] = {"usage": _USAGE_TOLD, "text": play.text}
        if play.call:
            lines["tool_calls"] = [{"name": play.call.name, "arguments": play.call.arguments}]
        if play.end:
            lines["error_in_stream" if play.end == "error" else f"{play.end}_after"] = play.after
        return {"script": lines}

    def fail(self, kind: FailureKind) -> dict[str, object]:
        if kind is FailureKind.BROKEN:
            return {"script": {"malformed": "html"}}
        trouble: Any = self.accent.trouble(kind)
        lines = {"status": trouble.status, "code": trouble.body["error"].get("code", "")}
        return {"script": {**lines, "retry_after": trouble.headers.get("retry-after")}}

    def body(self) -> Any:
        return json.loads(self._asked[-1].body)

    async def left(self) -> None:
        await self._gone.wait()

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.sleep(min(seconds, 60))
        except asyncio.CancelledError:
            self._gone.set()
            raise


class Sandbox(OpenAI):
    """It has models of its own."""

    model = "echo"


_USAGE_TOLD: Final = {
    "input_tokens": USAGE.input_tokens,
    "output_tokens": USAGE.output_tokens,
    "cached_input_tokens": USAGE.cached_input_tokens,
    "reasoning_output_tokens": USAGE.reasoning_output_tokens,
}


def before_a_server(name: str, dialect: str, accent: Accent) -> AbstractAsyncContextManager[ServerStage]:
    """A provider that the settings switch on, as an operator would."""

    @asynccontextmanager
    async def staged() -> AsyncIterator[ServerStage]:
        async with Server() as server:
            settings = ProviderSettings(dialect=dialect, base_url=server.url + PREFIX, api_key=KEY)
            registry = Registry({name: settings}, ClientSettings())
            try:
                yield ServerStage(registry.upstream(name), accent, server)
            finally:
                await registry.close()

    return staged()
