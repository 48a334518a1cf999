"""Events of a call that another model or provider had to do than the one that was asked first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline.v1 import events_pb2
from trunkline_server.gateway.run import Run


def moves(run: Run[Any]) -> Iterator[events_pb2.Event]:
    """None where the first that was asked was also the last. Those passed over unasked have no duration."""
    first = next((attempt for attempt in run.attempts if attempt.HasField("duration")), None)
    route, user_id = run.route, run.call.user_id
    if first is None or (first.provider, first.model) == (route.provider, route.model):
        return
    yield events_pb2.Event(
        failover_triggered=events_pb2.FailoverTriggered(
            completion_id=run.spelled_id,
            from_model=f"{first.provider}/{first.model}",
            to_model=f"{route.provider}/{route.model}",
            user_id=user_id,
        )
    )
    if first.provider != route.provider:
        switched = events_pb2.ProviderSwitched(
            completion_id=run.spelled_id, from_provider=first.provider, to_provider=route.provider, user_id=user_id
        )
        yield events_pb2.Event(provider_switched=switched)
