"""What is traced of an attempt at a job, as the doors do it for calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.trace import Trace, Tracer
from trunkline_server.gateway.jobs.kind import NotYet


@contextmanager
def traced(tracer: Tracer | None, call: Call) -> Iterator[None]:
    """Tells of the attempt at its end, where it is among those that are traced."""
    call.trace = tracer.begin(call.method, "") if tracer is not None else None
    if tracer is None or call.trace is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        _tell(tracer, call.trace, call.request_id, _reason(error))
        raise
    _tell(tracer, call.trace, call.request_id, "")


def _tell(tracer: Tracer, trace: Trace, request_id: str, reason: str) -> None:
    trace.code, trace.reason, trace.request_id = "ERROR" if reason else "OK", reason, request_id
    trace.ended_s = time.perf_counter()
    tracer.tell(trace)


def _reason(error: BaseException) -> str:
    """Empty for work that goes on without us."""
    match error:
        case NotYet():
            return ""
        case TrunklineError():
            return error.reason.value
        case TimeoutError():
            return Reason.DEADLINE.value
        case asyncio.CancelledError():
            return Reason.CANCELLED.value
        case _:
            return Reason.INTERNAL.value
