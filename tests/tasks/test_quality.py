"""The set of labelled cases can be asked and judged; how good a real model is, `make quality` says."""

from __future__ import annotations

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.reader import MODEL
from tests.quality.judging import Judge, cases, gives


async def test_every_task_has_cases_that_the_sandbox_can_be_asked(gateway: RunningGateway) -> None:
    judge = Judge(gateway.tasks, gateway.metadata("ada"), "sandbox/json", runs_code=False)
    scores = await judge.scores()
    assert scores.keys() == cases().keys()
    assert all(0 <= score <= 1 for score in scores.values())


async def test_wrong_answers_score_nothing(reading: RunningGateway) -> None:
    """The reader writes remarks for code, and capitals for German; of facts it only knows what is not there."""
    scores = await Judge(reading.tasks, reading.metadata("ada"), MODEL, runs_code=True).scores()
    assert (scores["generate_code"], scores["translate"]) == (0, 0)
    assert 0 < scores["extract"] < 0.2


def test_code_is_judged_by_what_it_gives() -> None:
    right, wrong = "def double(n):\n    return 2 * n", "def double(n):\n    return n"
    assert gives(right, "double(4)", 8)
    assert not gives(wrong, "double(4)", 8)
    assert not gives("import nothing_like_it", "double(4)", 8)
