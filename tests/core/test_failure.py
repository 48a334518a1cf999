"""What a failure of a provider allows, and what its headers say about trying again."""

from __future__ import annotations

import pytest

from trunkline_server.core.failure import (
    RULES,
    Breaker,
    Charge,
    Failover,
    FailureKind,
    Retry,
    UpstreamFailure,
    of_status,
)


def test_every_class_has_its_rule() -> None:
    assert set(RULES) == set(FailureKind)
    for rule in RULES.values():
        assert (rule.retries_max == 0) == (rule.retry is Retry.NEVER)


def test_what_the_caller_did_never_counts_against_the_provider() -> None:
    for kind in (FailureKind.INVALID, FailureKind.FILTERED, FailureKind.CONTEXT_TOO_LONG, FailureKind.MODEL_UNKNOWN):
        assert RULES[kind].breaker is Breaker.NEUTRAL


def test_nothing_is_tried_again_once_the_answer_has_begun() -> None:
    for kind in (FailureKind.INTERRUPTED, FailureKind.TIMEOUT_IDLE):
        assert (RULES[kind].retry, RULES[kind].failover) == (Retry.NEVER, Failover.NEVER)
        assert RULES[kind].charge is Charge.DELIVERED


def test_before_content_others_may_be_asked() -> None:
    failure = UpstreamFailure(FailureKind.INTERRUPTED, 200, "x").before_content()
    assert (failure.kind, failure.http_status, failure.code) == (FailureKind.AMBIGUOUS, 200, "x")
    assert UpstreamFailure(FailureKind.TIMEOUT_IDLE).before_content().kind is FailureKind.TIMEOUT_FIRST_TOKEN
    assert UpstreamFailure(FailureKind.BROKEN).before_content().kind is FailureKind.BROKEN


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (302, {}, FailureKind.BROKEN),
        (400, {}, FailureKind.INVALID),
        (401, {}, FailureKind.AUTH),
        (402, {}, FailureKind.QUOTA),
        (403, {}, FailureKind.AUTH),
        (404, {}, FailureKind.INVALID),
        (408, {}, FailureKind.TRANSIENT),
        (409, {}, FailureKind.TRANSIENT),
        (422, {}, FailureKind.INVALID),
        (429, {}, FailureKind.THROTTLED),
        (500, {}, FailureKind.TRANSIENT),
        (503, {}, FailureKind.TRANSIENT),
        (503, {"retry-after": "1"}, FailureKind.THROTTLED),
        (524, {}, FailureKind.TRANSIENT),
        (529, {}, FailureKind.THROTTLED),
    ],
)
def test_class_by_status(status: int, headers: dict[str, str], kind: FailureKind) -> None:
    assert of_status(status, headers).kind is kind


@pytest.mark.parametrize(("told", "retries"), [("true", 1), ("false", 0), ("maybe", 2), (None, 2)])
def test_the_word_of_the_provider_wins(told: str | None, retries: int) -> None:
    failure = of_status(500, {} if told is None else {"x-should-retry": told})
    assert failure.retries_max == max(retries, 2 if told == "true" else 0)


def test_only_a_plain_slug_is_kept() -> None:
    failure = UpstreamFailure(FailureKind.INVALID, 400, "Incorrect API key provided: sk-1")
    assert (failure.code, str(failure)) == ("", "INVALID 400")
    assert str(UpstreamFailure(FailureKind.QUOTA, 429, "insufficient_quota")) == "QUOTA 429 insufficient_quota"
    assert UpstreamFailure(FailureKind.INVALID, 400, "x" * 65).code == ""


@pytest.mark.parametrize(
    "code", ["rate_limit_exceeded", "1500", "INVALID_ARGUMENT", "invalid-argument", "error.code_7"]
)
def test_a_providers_own_word_is_kept(code: str) -> None:
    assert UpstreamFailure(FailureKind.INVALID, 400, code).code == code


@pytest.mark.parametrize(
    "code", ["sk-live4f9aQ2", "AIzaSyD4x9fK2", "tl_live_0a1b2c3d", "1234567890123", "a" * 30, "two words", ""]
)
def test_what_may_be_a_key_is_no_code(code: str) -> None:
    assert UpstreamFailure(FailureKind.AUTH, 401, code).code == ""
