"""`make test-real`: a model server that we did not write, `transformers serve`, behind the gateway. Prints what it saw.

Not a part of `make test`: the first run installs torch (some gigabytes) into `.tools/real`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc

from tests.bench.gateway import Gateway, serving
from tests.bench.processes import Cores, started
from trunkline.v1 import chat_pb2, chat_pb2_grpc, content_pb2

TOOLS: Final = Path(".tools")
PYTHON: Final = TOOLS / "real" / "bin" / "python"
PACKAGES: Final = ("torch", "transformers[serving]>=5.23")
MODEL_SERVER_S: Final = 60.0
OUTPUT_TOKENS: Final = 48
CANCEL_AFTER_S: Final = 0.05


def install() -> None:
    """The environment of the model server, once."""
    uv = str(TOOLS / "bin" / "uv")
    if not PYTHON.exists():
        subprocess.run(
            [uv, "venv", "--quiet", "--python", str(TOOLS / "bin" / "python"), str(TOOLS / "real")], check=True
        )
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(PYTHON), *PACKAGES], check=True)


def make_model(model: Path) -> None:
    """A small one, from nothing."""
    subprocess.run([str(PYTHON), "tests/real/tiny_model.py", str(model)], check=True)


@asynccontextmanager
async def model_server(home: Path) -> AsyncIterator[tuple[str, str]]:
    """The model, served: its address and the name that it wants to be called by."""
    model = home / "model"
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = (str(PYTHON.with_name("transformers")), "serve", str(model), "--host", "127.0.0.1", "--port", str(port))
    everywhere = frozenset(os.sched_getaffinity(0))
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "CUDA_VISIBLE_DEVICES": ""}
    async with started(*command, cores=everywhere, environment=offline, log=home / "model.log") as server:
        until = time.monotonic() + MODEL_SERVER_S
        while not await asyncio.to_thread(_answers, f"{url}/health"):
            if server.gone or time.monotonic() > until:
                raise RuntimeError(f"the model server did not start: {(home / 'model.log').read_text()[-2000:]}")
            await asyncio.sleep(0.5)
        yield f"{url}/v1", str(model)


async def look(gateway: Gateway, model: str) -> None:
    """A whole answer, a streamed one, and one that is cancelled."""
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        chat: chat_pb2_grpc.ChatServiceAsyncStub = chat_pb2_grpc.ChatServiceStub(channel)
        metadata = (("authorization", f"Bearer {gateway.key}"), ("x-trunkline-user", "real"))
        asked = _question(model, OUTPUT_TOKENS)
        whole = (await chat.Complete(chat_pb2.CompleteRequest(input=asked), metadata=metadata)).completion
        print(f"whole: {_text(whole)!r}, {whole.usage.output_tokens} tokens, {_outcome(whole)}")
        events = [each.event async for each in chat.Stream(chat_pb2.StreamRequest(input=asked), metadata=metadata)]
        deltas = [event.part_delta.text for event in events if event.HasField("part_delta")]
        print(f"streamed: {len(deltas)} deltas, {''.join(deltas)!r}, {events[-1].completed.usage.output_tokens} tokens")
        await _cancelled(chat, model, metadata)


async def _cancelled(
    chat: chat_pb2_grpc.ChatServiceAsyncStub, model: str, metadata: tuple[tuple[str, str], ...]
) -> None:
    call = chat.Stream(chat_pb2.StreamRequest(input=_question(model, 2000)), metadata=metadata)
    first = await call.read()
    assert isinstance(first, chat_pb2.StreamResponse)
    await asyncio.sleep(CANCEL_AFTER_S)
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call.code()
    found = chat_pb2.Completion()
    request = chat_pb2.GetCompletionRequest(completion_id=first.event.started.completion_id)
    async with asyncio.timeout(10):
        while not found.outcome:
            found = (await chat.GetCompletion(request, metadata=metadata)).completion
    print(f"cancelled: {_outcome(found)} after {found.usage.output_tokens} of 2000 tokens")


def _question(model: str, tokens: int) -> chat_pb2.ChatInput:
    text = content_pb2.Part(text=content_pb2.TextPart(text="Say something."))
    question = chat_pb2.ChatInput(
        model=f"local/{model}", messages=[content_pb2.Message(role=content_pb2.ROLE_USER, parts=[text])]
    )
    question.sampling.max_output_tokens = tokens
    return question


def _text(completion: chat_pb2.Completion) -> str:
    return "".join(part.text.text for part in completion.candidates[0].message.parts)


def _outcome(completion: chat_pb2.Completion) -> str:
    return chat_pb2.Outcome.Name(completion.outcome)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def run(home: Path) -> None:
    async with model_server(home) as (url, model):
        provider = {
            "TRUNKLINE_PROVIDERS__LOCAL__WIRE": "openai",
            "TRUNKLINE_PROVIDERS__LOCAL__BASE_URL": url,
            "TRUNKLINE_PROVIDERS__LOCAL__FREE": "true",
        }
        async with serving(home, "", Cores.here(), environment=provider) as gateway:
            await look(gateway, model)


def main() -> int:
    install()
    with tempfile.TemporaryDirectory(prefix="trunkline-real-") as home:
        make_model(Path(home) / "model")
        asyncio.run(run(Path(home)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
