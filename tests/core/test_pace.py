"""What providers say of their own limits, and how long to wait because of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from trunkline_server.core.limit_headers import ANTHROPIC, OPENAI, Counted, LimitHeaders, Unit, until
from trunkline_server.core.pace import Pace

NOW_S = 1_800_000_000.0
BY_WINDOW = LimitHeaders("x-ratelimit-{part}-{unit}", {"req-minute": Unit(Counted.CALLS, window_s=60)})


class Clock:
    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def openai(requests: str = "1000 999 60ms", tokens: str = "30000 29999 2ms") -> dict[str, str]:
    """Limit, remaining and reset of both units."""
    told = {"requests": requests.split(), "tokens": tokens.split()}
    parts = ("limit", "remaining", "reset")
    return {
        f"x-ratelimit-{part}-{unit}": each[place] for unit, each in told.items() for place, part in enumerate(parts)
    }


def paced(headers: Mapping[str, str], spelling: LimitHeaders = OPENAI) -> tuple[Pace, Clock]:
    clock = Clock()
    pace = Pace(clock)
    pace.hear(spelling, headers)
    return pace, clock


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6ms", 0.006),
        ("20m52.666s", 1252.666),
        ("17.399999999s", 17.399999999),
        ("1h0m1s", 3601),
        ("33.9336953163147", 33.9336953163147),
        ("2027-01-15T08:01:00Z", 60),
        ("0s", None),
        ("", None),
        ("-1", None),
        ("inf", None),
        ("nan", None),
        ("req_011CUn", None),
        ("2027-01-15T07:59:00Z", None),
        ("5 parsecs", None),
    ],
)
def test_when_a_limit_is_full_again(text: str, seconds: float | None) -> None:
    assert until(text, NOW_S) == (None if seconds is None else pytest.approx(seconds))


def test_nothing_is_waited_for_where_nothing_was_said() -> None:
    assert (Pace().pause_s(10**9), Pace().limits()) == (0.0, ())


def test_a_call_that_is_too_many_waits_until_one_is_refilled() -> None:
    pace, clock = paced(openai(requests="600 0 60s"))

    assert pace.pause_s() == pytest.approx(0.1)
    clock.now_s += 0.1
    assert pace.pause_s() == pytest.approx(0, abs=1e-6)


def test_a_question_waits_until_there_are_tokens_for_it() -> None:
    pace, _ = paced(openai(tokens="30000 1000 58s"))

    assert pace.pause_s(1000) == 0
    assert pace.pause_s(2000) == pytest.approx(2)
    assert pace.pause_s(10**9) == pytest.approx(58)  # never longer than until all is there


def test_calls_that_have_begun_since_are_counted() -> None:
    pace, _ = paced(openai(requests="60 2 58s"))
    pace.begun = 2

    assert pace.pause_s() == pytest.approx(1)


def test_a_window_is_known_where_the_reset_is_not_told() -> None:
    pace, clock = paced({"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "0"}, BY_WINDOW)

    assert pace.pause_s() == pytest.approx(1)
    clock.now_s += 61
    assert (pace.pause_s(), pace.limits()) == (0, [])


def test_each_provider_has_its_own_words() -> None:
    headers = {
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-reset": "2027-01-15T08:00:08Z",
    }
    pace, _ = paced(headers, ANTHROPIC)

    assert [(limit.unit, limit.amount, limit.remaining) for limit in pace.limits()] == [("output-tokens", 8000, 0)]
    assert pace.pause_s() == pytest.approx(0.001, abs=1e-6)


@pytest.mark.parametrize(
    "requests",
    ["-1 -1 -1", "0 0 60s", "10 20 60s", "ten none soon", "10 0 req_011CUn", "10 0 -5s", "1e9 0 60s", "٣ 0 60s"],
)
def test_nonsense_holds_up_nobody(requests: str) -> None:
    pace, _ = paced(openai(requests=requests))

    assert pace.pause_s() == 0
    assert "requests" not in [limit.unit for limit in pace.limits()]


def test_what_is_said_last_counts() -> None:
    pace, _ = paced(openai(requests="60 0 60s"))
    pace.hear(OPENAI, openai())

    assert pace.pause_s() == 0
