"""Stands where HTTP would stand: takes requests in OpenAI's dialect and sends what the script makes of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Final, TypeAlias

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.client import ClientSettings, Response
from trunkline_server.providers.sandbox import picture, recording
from trunkline_server.providers.sandbox import question as questions
from trunkline_server.providers.sandbox import reply as replies
from trunkline_server.providers.sandbox.batch import Batches
from trunkline_server.providers.sandbox.embedding import EMBEDDING, RERANK
from trunkline_server.providers.sandbox.film import Films
from trunkline_server.providers.sandbox.moderation import MODERATION
from trunkline_server.providers.sandbox.play import handed_over, played
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.reply import Reply
from trunkline_server.providers.sandbox.script import MODELS, Models, Script, healed, script_of
from trunkline_server.providers.sandbox.speech import speech_of
from trunkline_server.providers.sandbox.stores import Stores
from trunkline_server.providers.sandbox.tuning import Trainings, base_of
from trunkline_server.providers.sandbox.turn import CREATED_S, Turn
from trunkline_server.providers.sandbox.work import Task, Workshop, read
from trunkline_server.wire.http import HttpRequest

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
Maker: TypeAlias = Callable[[HttpRequest], Reply]

WORKSHOPS: Final[Mapping[str, Workshop]] = {
    "/embeddings": EMBEDDING,
    "/rerank": RERANK,
    "/moderations": MODERATION,
}
_KEYS_MAX: Final = 10_000
LINES: Final = ("/chat/completions", "/embeddings")
"""What lines of batches can ask."""


class SandboxTransport:
    """Remembers how often a key of `times` has failed, and a film was asked for. `sleep` makes every pause."""

    def __init__(self, settings: ClientSettings | None = None, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings or ClientSettings()
        self._sleep = sleep
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._films = Films()
        self._batches = Batches(self._asked)
        self._stores = Stores(self._batches.files)
        self._trainings = Trainings(self._batches.files)
        self._makers = dict(self._posts())

    @asynccontextmanager
    async def open(self, request: HttpRequest) -> AsyncIterator[Response]:
        reply = self._reply(request)
        if reply.pause_s and not await self._waited(reply.pause_s):
            raise UpstreamFailure(FailureKind.AMBIGUOUS)
        async with aclosing(self._send(reply, request.answer_bytes_max)) as pieces:
            yield _Answer(reply.status, _Headers(reply.headers), pieces)

    async def close(self) -> None:
        """There is nothing to close."""

    def _reply(self, request: HttpRequest) -> Reply:
        try:
            return self._answered(request, request.path.partition("?")[0])
        except Refusal as refusal:
            return replies.body(replies.error(refusal.status, refusal.code, refusal.message), refusal.status)

    def _answered(self, request: HttpRequest, path: str) -> Reply:
        """Raises Refusal."""
        if self._stores.takes(request):
            return self._stores.answer(request)
        if self._trainings.takes(request):
            return self._trainings.answer(request)
        if request.method == "POST" and path in self._makers:
            return self._makers[path](request)
        if request.method == "POST" and path.startswith("/batches/"):
            return self._batches.cancelled(path)
        if request.method == "GET":
            return self._shown(path)
        raise Refusal(404, "not_found", f"there is no {request.method} {path} here")

    def _shown(self, path: str) -> Reply:
        """Raises Refusal."""
        if path.startswith("/videos/"):
            return self._films.shown(path)
        if path.startswith(("/batches/", "/files/")):
            return self._batches.shown(path)
        if path == "/models":
            return replies.body(_MODEL_LIST)
        raise Refusal(404, "not_found", f"there is no GET {path} here")

    def _posts(self) -> Iterator[tuple[str, Maker]]:
        """Who answers what is posted, by path."""
        yield "/chat/completions", self._chat
        for path in ("/images/generations", "/images/edits", "/images/variations"):
            yield path, lambda request: picture.answered(request.body, self._script)
        yield "/files", self._batches.uploaded
        yield "/batches", self._batches.begun
        yield "/videos", lambda request: self._films.begun(request.body, self._script)
        yield "/audio/speech", lambda request: recording.spoken(request.body, self._script)
        for path in ("/audio/transcriptions", "/audio/translations"):
            yield path, lambda request: recording.heard(request, self._script)
        for path, workshop in WORKSHOPS.items():
            yield path, partial(self._work, workshop)

    def _asked(self, request: HttpRequest) -> Reply:
        """A line of a batch. Raises Refusal."""
        if request.path not in LINES:
            raise Refusal(400, "invalid_request", f"a batch cannot ask {request.path}")
        return self._makers[request.path](request)

    def _chat(self, request: HttpRequest) -> Reply:
        question = questions.read(request.body)
        script, digest = self._script(base_of(question.model), question.script or {}, request.body)
        return played(Turn(question, script, speech_of(question, script), digest))

    def _work(self, workshop: Workshop, request: HttpRequest) -> Reply:
        task = read(Task, request.body)
        script, _ = self._script(task.model, task.script or {}, request.body, workshop.models)
        return handed_over(script, workshop.make(request.body, script))

    def _script(
        self, model: str, lines: Mapping[str, object], body: bytes, models: Models = MODELS
    ) -> tuple[Script, str]:
        """How this call goes, and what stands for it."""
        script, digest = script_of(model, lines, models), blake2b(body, digest_size=12).hexdigest()
        return healed(script) if script.times and not self._fails(script, digest) else script, digest

    def _fails(self, script: Script, digest: str) -> bool:
        """Whether this is one of the first `times`. A caller's key is kept, a question only until it is answered."""
        key = script.key or digest
        count = self._failures.pop(key, 0)
        if count < script.times or script.key:
            self._failures[key] = count + 1
        if len(self._failures) > _KEYS_MAX:
            self._failures.popitem(last=False)
        return count < script.times

    async def _send(self, reply: Reply, answer_bytes_max: int) -> AsyncGenerator[bytes, None]:
        room = max(self._settings.body_bytes_max, answer_bytes_max)
        for piece in reply.pieces:
            if not await self._waited(piece.pause_s):
                raise UpstreamFailure(FailureKind.TIMEOUT_IDLE, reply.status)
            room -= len(piece.data)
            if room < 0:
                raise UpstreamFailure(FailureKind.BROKEN, reply.status)
            if piece.data:
                yield piece.data

    async def _waited(self, pause_s: float) -> bool:
        """Whether the pause was shorter than the client's patience. Without a pause others still get their turn."""
        await self._sleep(min(pause_s, self._settings.read_timeout_s))
        return pause_s < self._settings.read_timeout_s


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer of one call while its context is open."""

    status: int
    headers: Mapping[str, str]
    _pieces: AsyncGenerator[bytes, None]

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return self._pieces

    async def read(self, limit: int) -> bytes:
        body = bytearray()
        async for piece in self._pieces:
            body += piece
            if len(body) > limit:
                raise UpstreamFailure(FailureKind.BROKEN, self.status)
        return bytes(body)


class _Headers(Mapping[str, str]):
    """Found in any case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)


def _models() -> Iterator[str]:
    yield from MODELS
    for workshop in WORKSHOPS.values():
        yield from workshop.models


_MODEL_LIST: Final = {
    "object": "list",
    "data": [{"id": model, "object": "model", "created": CREATED_S, "owned_by": "sandbox"} for model in _models()],
}
