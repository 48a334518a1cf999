"""MCP servers that are programs, when these end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.providers.mcp.stdio_link import StdioLink

ENDS_ONCE: Final = """
import json, os, pathlib, sys, time

def say(id, result):
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)

for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        say(asked["id"], {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {}})
    elif asked["method"] == "tools/list" and not os.path.exists(sys.argv[1]):
        pathlib.Path(sys.argv[1]).touch()
        os.close(1)
        time.sleep(0.3)  # it takes leave slowly
        os._exit(1)
    elif asked["method"] == "tools/list":
        say(asked["id"], {"tools": []})
"""


async def test_a_program_that_is_just_ending_is_started_again_for_who_asks_then(tmp_path: Path) -> None:
    link = StdioLink([sys.executable, "-c", ENDS_ONCE, str(tmp_path / "ended")], {})
    with pytest.raises(TrunklineError) as told:
        await link.ask("tools/list", {})
    assert told.value.reason == Reason.TOOL_FAILED
    assert b"tools" in await link.ask("tools/list", {})
    await link.close()
