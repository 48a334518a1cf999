"""How long a provider asks to be left alone, in every form that was seen."""

from __future__ import annotations

import pytest

from trunkline_server.core.pause import PAUSE_S_MAX, duration_s, in_text, pause_s

NOW_S = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": " 0.25 "}, 0.25),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after": "2m30s"}, 150.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:30 GMT"}, None),
        ({"retry-after": "2015-10-21T07:28:12Z"}, 12.0),
        ({"retry-after": "2015-10-21T09:28:12.5+02:00"}, 12.5),
        ({"retry-after": "2015-10-21T07:28:12"}, 12.0),
        ({"retry-after": "1445412490"}, 10.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "abc"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "9" * 20}, PAUSE_S_MAX),
        ({"retry-after": "Wed, 21 Oct 99999 07:27:30 GMT"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "-1", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        # limits: Go durations, RFC 3339, seconds, times since 1970
        ({"x-ratelimit-reset-requests": "6ms"}, 0.006),
        ({"x-ratelimit-reset-tokens": "20m52.666s"}, 1252.666),
        ({"x-ratelimit-reset-tokens": "17.399999999s"}, 17.399999999),
        ({"x-ratelimit-reset-requests": "1h2m3s"}, 3723.0),
        ({"x-ratelimit-reset-requests": "0s"}, None),
        ({"x-ratelimit-reset-requests": "req_0123456789"}, None),
        ({"x-ratelimit-reset-requests": "-1"}, None),
        ({"anthropic-ratelimit-tokens-reset": "2015-10-21T07:28:20Z"}, 20.0),
        ({"x-ratelimit-reset": "1445412495000"}, 15.0),
        ({"x-ratelimit-reset": "1445412495"}, 15.0),
        ({"x-ratelimit-reset": "15"}, 15.0),
        # the longest of those that are used up, and nothing of the others
        ({"x-ratelimit-reset-requests": "9s", "x-ratelimit-reset-tokens": "4s"}, 9.0),
        (
            {
                "x-ratelimit-remaining-requests": "12",
                "x-ratelimit-reset-requests": "9s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "4s",
            },
            4.0,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "12",
                "anthropic-ratelimit-requests-reset": "2015-10-21T07:28:59Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2015-10-21T07:28:05Z",
            },
            5.0,
        ),
        ({"retry-after": "2", "x-ratelimit-reset-tokens": "40s"}, 2.0),
    ],
)
def test_headers(headers: dict[str, str], wait_s: float | None) -> None:
    assert pause_s(headers, 429, now_s=NOW_S) == (wait_s if wait_s is None else pytest.approx(wait_s))


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("Rate limit reached for gpt-4.1 on tokens per min. Limit 30000. Please try again in 3.89s.", 3.89),
        ("Please try again in 120ms. Visit", 0.12),
        ("Please try again in 2m59.56s.", 179.56),
        ("Please try again in 1h2m3s", 3723.0),
        ("Please retry in 48.5s.", 48.5),
        ("Please retry after 10 seconds.", 10.0),
        ("try again in 2 minutes", 120.0),
        ("try again in a while", None),
        ("try again in 0s", None),
        ("retry in 12", None),
        ("x" * 5000 + "try again in 3s", None),
        ("", None),
    ],
)
def test_text(text: str, wait_s: float | None) -> None:
    assert in_text(text) == wait_s
    assert pause_s({}, 429, text, NOW_S) == wait_s


def test_the_text_knows_better_than_limits_and_the_header_better_than_both() -> None:
    limits = {"x-ratelimit-reset-tokens": "40s"}
    assert pause_s(limits, 429, "try again in 3s", NOW_S) == 3.0
    assert pause_s({**limits, "retry-after": "1"}, 429, "try again in 3s", NOW_S) == 1.0


@pytest.mark.parametrize("status", [200, 302, 400, 404])
def test_it_means_nothing_elsewhere(status: int) -> None:
    headers = {"retry-after": "5", "retry-after-ms": "5", "x-ratelimit-reset": "5"}
    assert pause_s(headers, status, "try again in 5s") is None


def test_limits_are_told_with_every_answer_and_mean_something_with_429_alone() -> None:
    assert pause_s({"x-ratelimit-reset-requests": "5s"}, 503) is None


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5x", "5s" * 9])
def test_no_duration(text: str) -> None:
    assert duration_s(text) is None
