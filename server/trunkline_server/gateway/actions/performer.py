"""What every way to execute an action has in common: an invocation goes to a handler, an answer comes back.

A new way, such as a tool, is one class with this shape and its line where the house is put together.
"""

from __future__ import annotations

from typing import Protocol

import orjson

from trunkline.v1 import actions_pb2
from trunkline_server.store.action_handlers import Handler

MESSAGE_CHARS_MAX = 4096
DATA_BYTES_MAX = 256 * 1024
REASON_CHARS_MAX = 128


class Performer(Protocol):
    """One way."""

    async def perform(self, handler: Handler, invocation: actions_pb2.ActionInvocation) -> actions_pb2.ActionAnswer:
        """What the handler says. Trouble with it is an answer, too: nothing is raised."""


def failed(reason: str) -> actions_pb2.ActionAnswer:
    """It was not done, or nobody knows."""
    return actions_pb2.ActionAnswer(status=actions_pb2.ACTION_STATUS_FAILED, error_reason=reason)


def checked(answer: actions_pb2.ActionAnswer) -> actions_pb2.ActionAnswer:
    """An answer of somebody else's: as it is where it is in order, else the failure that says that it is not."""
    if answer.status not in actions_pb2.ActionStatus.values() or not _is_in_order(answer):
        return failed("ANSWER_INVALID")
    if answer.status == actions_pb2.ACTION_STATUS_UNSPECIFIED:
        answer.status = actions_pb2.ACTION_STATUS_SUCCEEDED
    return answer


def _is_in_order(answer: actions_pb2.ActionAnswer) -> bool:
    fits = len(answer.message) <= MESSAGE_CHARS_MAX and len(answer.error_reason) <= REASON_CHARS_MAX
    return fits and (not answer.data_json or _is_json(answer.data_json))


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return len(text) <= DATA_BYTES_MAX
