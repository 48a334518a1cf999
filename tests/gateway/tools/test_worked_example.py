"""The worked example of `docs/tools.md`, as it stands there."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from pathlib import Path
from types import CodeType

from tests.docs.page import page
from tests.fixtures.books import Books
from tests.fixtures.gateway import StartGateway, text_of
from tests.fixtures.tooling import results
from trunkline.v1 import chat_pb2, content_pb2


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page("tools.md"), re.DOTALL)


def compiled(text: str) -> CodeType:
    """With `await` outside of functions, as pages have it."""
    code: CodeType = compile(text, "tools.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


async def test_a_model_thinks_with_the_server(books: Books, start_gateway: StartGateway, tmp_path: Path) -> None:
    (program,) = [block for block in blocks("python") if 'MCPServer("thinking")' in block]
    (asked,) = [block for block in blocks("python") if 'mcp.server = "thinking"' in block]
    (settings,) = blocks("toml")
    (tmp_path / "thinking.py").write_text(program)
    (tmp_path / "trunkline.toml").write_text(
        settings.replace('"python"', json.dumps(sys.executable)).replace("thinking.py", str(tmp_path / "thinking.py"))
    )
    gateway = await start_gateway({"TRUNKLINE_CONFIG": str(tmp_path / "trunkline.toml")})
    names = {"chat": gateway.chat, "chat_pb2": chat_pb2, "content_pb2": content_pb2, "metadata": gateway.metadata()}
    running = eval(compiled(asked), names)
    assert inspect.isawaitable(running)
    await running
    completion = names["answer"].completion  # type: ignore[attr-defined]
    (result,) = results(completion)
    assert json.loads(result.structured_json)["step"] == 1
    assert text_of(completion).startswith("The tool says: ")
