"""Batch APIs: envelopes spelled and read, and whatever strange thing may stand in them."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from tests.wire.recorded import Exchange, exchanges
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.pricing import Price, Tier
from trunkline_server.core.reduction import as_reduced, reduced
from trunkline_server.providers.builtin import anthropic, gemini, mistral, openai, xai
from trunkline_server.wire.bulk import BulkCraft, Line
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_bulk import OpenAIBulk

CRAFTS: dict[str, BulkCraft] = {
    module.PROVIDER.name: module.PROVIDER.bulk
    for module in (anthropic, gemini, mistral, openai, xai)
    if module.PROVIDER.bulk
}
LINES = [Line(index, HttpRequest("POST", "/chat/completions", {}, b'{"model":"m","n":%d}' % index)) for index in (0, 7)]


def spelled(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_openai_takes_a_file_of_lines() -> None:
    craft = OpenAIBulk()
    request = craft.upload(LINES)
    assert request.headers["content-type"].startswith("multipart/form-data")
    assert b'{"custom_id":"7","method":"POST","url":"/v1/chat/completions","body":{"model":"m","n":7}}' in request.body
    assert json.loads(craft.submit("m", LINES, "file-1").body) == {
        "input_file_id": "file-1",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }


@pytest.mark.parametrize("name", CRAFTS)
@pytest.mark.parametrize("said", ["../evil", "a/b", "", "x" * 300, "a?b"])
def test_no_name_that_leads_elsewhere_is_taken(name: str, said: str) -> None:
    craft = CRAFTS[name]
    told = spelled({"id": said, "batch_id": said, "name": f"batches/{said}"})
    with pytest.raises(UpstreamFailure) as failed:
        craft.submitted(craft.uploaded(told), told)
    assert failed.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize("name", CRAFTS)
@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"id": 7, "batch_id": 7, "name": 7}', b"\xff"])
def test_what_cannot_be_read_is_broken(name: str, body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        CRAFTS[name].polled("b", body)
    assert failed.value.kind is FailureKind.BROKEN


def page_of(name: str, custom: str | None) -> dict[str, Any]:
    """Results with one answer, called so."""
    line = {"custom_id": custom, "response": {"status_code": 200}, "result": {"type": "succeeded"}}
    match name:
        case "gemini":
            answers = [{"metadata": {"key": custom}, "response": {}}]
            return {"metadata": {"output": {"inlinedResponses": {"inlinedResponses": answers}}}}
        case "mistral":
            return {"id": "b", "outputs": [line]}
        case "xai":
            return {"results": [{"batch_request_id": custom}]}
        case _:
            return line


@pytest.mark.parametrize("name", CRAFTS)
@pytest.mark.parametrize("custom", ["x", "-1", "", None, "1e3", "9" * 30])
def test_names_that_are_not_ours_are_no_place(name: str, custom: str | None) -> None:
    assert [entry.index for entry in CRAFTS[name].page("b", spelled(page_of(name, custom))).entries] == [-1]


COUNTS = {"total": 4, "completed": 1, "failed": 1}
HALF_DONE = {"processing": 1, "canceled": 1}
STATS = {"requestCount": "4", "pendingRequestCount": "1"}


@pytest.mark.parametrize(
    ("name", "told", "percent"),
    [
        ("openai", {"id": "b", "status": "in_progress", "request_counts": COUNTS}, 50),
        ("openai", {"id": "b", "status": "validating"}, 0),
        ("mistral", {"id": "b", "status": "RUNNING", "total_requests": 4, "completed_requests": 3}, 75),
        ("xai", {"batch_id": "b", "state": {"num_requests": 4, "num_pending": 3}}, 25),
        ("anthropic", {"id": "b", "processing_status": "canceling", "request_counts": HALF_DONE}, 50),
        ("gemini", {"metadata": {"state": "BATCH_STATE_RUNNING", "batchStats": STATS}}, 75),
    ],
)
def test_how_far_it_is(name: str, told: dict[str, Any], percent: int) -> None:
    standing = CRAFTS[name].polled("b", spelled(told))
    assert (standing.results, standing.percent) == (None, percent)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("openai", {"id": "b", "status": "failed", "errors": {"data": [{"code": "model_not_found"}]}}),
        ("mistral", {"id": "b", "status": "FAILED"}),
        ("gemini", {"metadata": {"state": "BATCH_STATE_FAILED"}}),
    ],
)
def test_it_may_fail_as_a_whole(name: str, told: dict[str, Any]) -> None:
    standing = CRAFTS[name].polled("b", spelled(told))
    assert standing.results == ()
    assert standing.failure is not None


@pytest.mark.parametrize("exchange", exchanges("xai__batches-id-results"))
def test_xai_bills_four_fifths(exchange: Exchange) -> None:
    """By its own count, in tenths of billionths of a dollar."""
    entries = CRAFTS["xai"].page("b", exchange.body).entries
    assert [entry.index for entry in entries] == [0, 1]
    full = price("v", input=1_250_000_000, cached_input=200_000_000, output=2_500_000_000)
    [tier] = reduced(full, CRAFTS["xai"].price_percent).tiers
    for entry in entries:
        usage = json.loads(entry.body)["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        output = usage["completion_tokens"] + usage["completion_tokens_details"]["reasoning_tokens"]
        units = tier.units
        cost = (
            (usage["prompt_tokens"] - cached) * units["input"]
            + cached * units["cached_input"]
            + output * units["output"]
        )
        assert cost // 1_000_000 == usage["cost_in_usd_ticks"] // 10


@pytest.mark.parametrize("exchange", exchanges("mistral__batch-jobs-id__unary__d9"))
def test_mistrals_answers_as_recorded(exchange: Exchange) -> None:
    standing = CRAFTS["mistral"].polled("b", exchange.body)
    assert standing.results is not None
    entries = CRAFTS["mistral"].page("b", exchange.body).entries
    assert [(entry.index, entry.status) for entry in entries] == [(0, 200), (1, 200)]


@pytest.mark.parametrize("exchange", exchanges("openai__files-id-content"))
def test_openais_answers_as_recorded(exchange: Exchange) -> None:
    pages = [CRAFTS["openai"].page("b", line) for line in exchange.body.splitlines()]
    assert sorted((entry.index, entry.status) for page in pages for entry in page.entries) == [(0, 200), (1, 200)]


@pytest.mark.parametrize("exchange", exchanges("anthropic__messages-batches-id-results"))
def test_anthropics_answers_as_recorded(exchange: Exchange) -> None:
    [line] = exchange.body.splitlines()
    [entry] = CRAFTS["anthropic"].page("b", line).entries
    assert (entry.index, entry.status, json.loads(entry.body)["stop_reason"]) == (0, 200, "end_turn")


@pytest.mark.parametrize("exchange", exchanges("gemini__batches__"))
def test_geminis_answers_as_recorded(exchange: Exchange) -> None:
    """The names are another caller's."""
    standing = CRAFTS["gemini"].polled("b", exchange.body)
    assert standing.results is not None
    assert [entry.status for entry in CRAFTS["gemini"].page("b", exchange.body).entries] == [200, 200]


def price(version: str, **units: int) -> Price:
    return Price(version, date(2026, 1, 1), (Tier(0, units),))


def test_a_reduced_price_says_so() -> None:
    full = price("v1", input=3, output=10)
    half = reduced(full, 50)
    assert (half.version, half.tiers[0].units) == ("v1@50%", {"input": 2, "output": 5})
    newer = price("v2", input=10)
    assert as_reduced(newer, half.version).tiers[0].units == {"input": 5}
    assert as_reduced(newer, full.version) is newer
