"""What providers say of trainings, as it was recorded and as it may come: read, or refused, and never a fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from tests.wire.recorded import Exchange, exchanges
from trunkline.v1 import fine_tuning_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.mistral_tuning import MistralTuning
from trunkline_server.wire.openai_tuning import OpenAITuning
from trunkline_server.wire.tuning import Lesson, TuningCraft

CRAFTS: Final[Sequence[TuningCraft]] = (OpenAITuning(), MistralTuning())
READERS: Final[Sequence[Callable[[bytes], object]]] = [
    read for craft in CRAFTS for read in (craft.begun, craft.polled, craft.heard, craft.reached)
]


@pytest.mark.parametrize("exchange", exchanges("openai__fine-tuning-jobs-id", lambda each: each.good))
def test_openais_jobs_as_recorded(exchange: Exchange) -> None:
    craft, operation = OpenAITuning(), exchange.answer()["id"]
    is_cancel = exchange.path.endswith("/cancel")
    asked = craft.cancel(operation) if is_cancel else craft.poll(operation)
    assert f"/v1{asked.path}" == exchange.path
    told = craft.polled(exchange.body)
    expected = "cancelled" if is_cancel else "validating"
    assert (told.state, told.model, told.trained_tokens, told.code) == (expected, "", None, "")


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__qualname__)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"[" * 10_000, b'{"id": 7, "data": 7, "events": 7}'])
def test_what_cannot_be_read_is_broken(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as broken:
        read(body)
    assert broken.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize("craft", CRAFTS, ids=lambda craft: type(craft).__name__)
def test_odd_numbers_and_names_do_no_harm(craft: TuningCraft) -> None:
    odd: dict[str, Any] = {"id": "x", "created_at": 1e300, "message": "m" * 9999, "data": {"a": True, "b": "c", "d": 1}}
    points = [{"step_number": -1, "metrics": {}}, {"step_number": 1e300}]
    body = {"id": "j", "trained_tokens": 1e300, "events": [odd | {"data": {}}], "checkpoints": points}
    told = json.dumps(body | {"data": [odd]}).encode()
    assert craft.polled(told).trained_tokens is None
    assert len(craft.heard(told)[0].event.message) <= 500
    assert next(each.step for each in craft.reached(json.dumps({"checkpoints": points, "data": points}).encode())) == 0
    for name in ("../x", "a b", ""):
        with pytest.raises(UpstreamFailure):
            craft.begun(json.dumps({"id": name}).encode())
    with pytest.raises(UpstreamFailure):
        craft.polled(json.dumps({"fine_tuned_model": "a\nb"}).encode())


@pytest.mark.parametrize(
    ("craft", "fields"),
    [
        (OpenAITuning(), {"hyperparameters": {"learning_rate": 0.5}}),
        (MistralTuning(), {"hyperparameters": {"batch_size": 2}}),
        (MistralTuning(), {"hyperparameters": {"learning_rate_multiplier": 2}}),
        (MistralTuning(), {"seed": 0}),
    ],
)
def test_what_a_provider_does_not_have_is_refused(craft: TuningCraft, fields: dict[str, Any]) -> None:
    with pytest.raises(TrunklineError) as refused:
        craft.begin(Lesson("m", "f", "", fine_tuning_pb2.CreateFineTuneRequest(**fields)))
    assert refused.value.reason is Reason.PARAMETER_UNSUPPORTED
