"""Tools of other distributions: entry points of one group, for all tenants, kept out when they do not load.

An entry point gives a `NativeTool`. Its code is the operator's: it runs in this process, so it must not block.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any, Final

import orjson

from trunkline.v1 import tools_pb2
from trunkline_server.core import schema
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.plugins import brought
from trunkline_server.gateway.tools.http_tools import tool_failed
from trunkline_server.gateway.tools.tool import READ_BYTES_MAX, Ask, Said, Tool

GROUP: Final = "trunkline.tools"
_NAME: Final = re.compile(r"(?!.*__)[a-zA-Z0-9_-]{1,64}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NativeTool:
    """`run` gets the arguments, and gives words, or what JSON can say."""

    name: str
    description: str
    parameters_json_schema: str
    run: Callable[[Mapping[str, Any]], Awaitable[object]]
    needs_approval: bool = False


def installed() -> Iterator[Tool]:
    """What the entry points give, by name."""
    for entry in brought(GROUP):
        try:
            yield tool_of(_native(entry))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code may raise anything
            _log.warning("tool.broken name=%s error=%s", entry.name, type(error).__name__)


def tool_of(native: NativeTool) -> Tool:
    """Raises ValueError, VALIDATION."""
    if not _NAME.fullmatch(native.name):
        raise ValueError(native.name)
    if native.parameters_json_schema:
        schema.compile(native.parameters_json_schema, "parameters_json_schema")
    spec = tools_pb2.ToolSpec(
        name=native.name,
        description=native.description,
        parameters_json_schema=native.parameters_json_schema,
        needs_approval=native.needs_approval,
    )
    return Tool(spec, partial(_run, native))


def _native(entry: EntryPoint) -> NativeTool:
    given = entry.load()
    native = given if isinstance(given, NativeTool) else given()
    if not isinstance(native, NativeTool) or native.name != entry.name:
        raise TypeError(entry.value)
    return native


async def _run(native: NativeTool, ask: Ask) -> Said:
    """Somebody's code: what it raises may hold secrets, so only the class is told, to the log."""
    try:
        said = await native.run(orjson.loads(ask.arguments_json or "{}"))
        text = said if isinstance(said, str) else orjson.dumps(said).decode()
    except TrunklineError:
        raise
    except Exception as error:
        _log.warning("tool.raised name=%s error=%s", native.name, type(error).__name__)
        raise tool_failed("the tool raised an error") from error
    if len(text) > READ_BYTES_MAX:
        raise tool_failed(f"the tool said more than {READ_BYTES_MAX} characters")
    return Said(text, is_json=not isinstance(said, str))
