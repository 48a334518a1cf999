"""The log: lines of JSON, and no secret on any handler."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from trunkline_server.core import api_key
from trunkline_server.house import logs

KEY = api_key.make("live").text
_log = logging.getLogger("tests.house.logs")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What our handler writes."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.Lines())
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logs.Record)
    _log.addHandler(handler)
    yield written
    _log.removeHandler(handler)
    logging.setLogRecordFactory(factory)


def line(written: io.StringIO) -> dict[str, Any]:
    [told] = written.getvalue().splitlines()
    return dict(json.loads(told))


def test_a_line_has_its_fields(lines: io.StringIO) -> None:
    _log.warning("thing.done count=%d", 3, extra={"hold_id": "abc"})
    told = line(lines)
    assert told.pop("time") > 1e9
    assert told == {"level": "warning", "logger": _log.name, "event": "thing.done count=3", "hold_id": "abc"}


def test_secrets_are_taken_out_by_look_and_by_name(lines: io.StringIO) -> None:
    _log.warning("refused %s", KEY, extra={"api_key": "swordfish", "where": f"at {KEY}"})
    told = line(lines)
    assert (told["event"], told["api_key"], told["where"]) == ("refused ***", "***", "at ***")


def test_a_handler_of_somebody_else_sees_none_either(lines: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    _log.warning("refused %s", KEY)
    assert caplog.messages == ["refused ***"]


def test_of_an_exception_the_type_and_the_place_are_told(lines: io.StringIO) -> None:
    try:
        raise ValueError("swordfish")
    except ValueError:
        _log.exception("thing.failed")
    told = line(lines)
    assert told["error"] == "ValueError"
    assert told["at"].startswith("test_of_an_exception_the_type_and_the_place_are_told:")
    assert "swordfish" not in lines.getvalue()


def test_a_faulty_record_is_still_a_line(lines: io.StringIO) -> None:
    _log.warning("count=%d", KEY)
    assert line(lines)["event"] == "count=%d"
