"""From a run to what is traced of it."""

from __future__ import annotations

import time
from typing import Any

from trunkline_server.core.trace import Attempted, Inference
from trunkline_server.gateway.meter import LEFT, unfinished
from trunkline_server.gateway.run import Run
from trunkline_server.gateway.settlement import FINISH_REASONS


def inference_of(run: Run[Any]) -> Inference:
    """Of a run that has its bill; with its attempts, where its call is traced."""
    usage, route = run.usage, run.route
    return Inference(
        completion_id=run.spelled_id,
        operation=run.work.operation.value,
        provider=route.provider,
        model=route.model,
        requested_model=run.input.model,
        attempts=_attempts(run),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        finish_reason=FINISH_REASONS[run.finish_reason] if run.finish_reason else "",
        first_token_s=run.first_token_s,
        streaming=run.streaming,
    )


def _attempts(run: Run[Any]) -> list[Attempted]:
    if run.call.trace is None:
        return []
    attempts = list(run.call.trace.attempts)
    if unfinished(run):
        began_s = attempts[-1].ended_s if attempts else run.began
        attempts.append(Attempted(run.route.provider, run.route.model, LEFT, 0, began_s, time.perf_counter()))
    return attempts
