"""The log beside the journal: warnings of our rooms and of libraries, as lines of JSON without secrets.

Records are cleaned when they are made, so that every handler gets them clean, also one that somebody else has added.
Of an exception its type and place are told, never its words, which may be a provider's or a caller's.
"""

from __future__ import annotations

import logging
import traceback
from typing import Any, Final

import orjson

from trunkline_server.core import redaction

_OWN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
FRAMES_MAX: Final = 8


def begin(level: str) -> None:
    """For the whole process, to its standard error."""
    logging.raiseExceptions = False  # the complaint about a faulty record would show its arguments
    logging.setLogRecordFactory(Record)
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class Record(logging.LogRecord):
    """Has its message ready, without secrets."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.msg, self.args = redaction.text(self._worded()), ()
        if self.exc_info:
            self.error, self.at = _described(self.exc_info[1])
            self.exc_info = None

    def _worded(self) -> str:
        try:
            return self.getMessage()
        except (TypeError, ValueError, KeyError):
            return str(self.msg)


class Lines(logging.Formatter):
    """One line of JSON for each record; what was given as `extra` are further fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        more = {name: value for name, value in record.__dict__.items() if name not in _OWN}
        return orjson.dumps(line | redaction.fields(more), default=str).decode()


def _described(error: BaseException | None) -> tuple[str, str]:
    if error is None:
        return "", ""
    frames = reversed(traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:])
    return type(error).__name__, " < ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
