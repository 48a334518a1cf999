"""Figures: counted, put together, and spelled."""

from __future__ import annotations

import pytest

from trunkline_server.core import figures
from trunkline_server.core.figures import Counter, Family, Figures, Histogram, level, spell, together, total


def test_a_counter_counts_by_labels() -> None:
    counter = Counter("calls_total", "Calls.", "method", "code")
    counter.add(("Complete", "OK"))
    counter.add(("Complete", "OK"), 2)
    counter.add(("Stream", "CANCELLED"), 0.5)
    assert spell([counter.family()]).splitlines() == [
        "# HELP calls_total Calls.",
        "# TYPE calls_total counter",
        'calls_total{method="Complete",code="OK"} 3',
        'calls_total{method="Stream",code="CANCELLED"} 0.5',
    ]


def test_a_histogram_counts_what_lies_below_each_bound() -> None:
    histogram = Histogram("took_seconds", "How long.", "method", bounds=(0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7):
        histogram.observe(("Complete",), value)
    assert spell([histogram.family()]).splitlines()[2:] == [
        'took_seconds_bucket{method="Complete",le="0.1"} 2',
        'took_seconds_bucket{method="Complete",le="1"} 3',
        'took_seconds_bucket{method="Complete",le="+Inf"} 4',
        'took_seconds_sum{method="Complete"} 7.65',
        'took_seconds_count{method="Complete"} 4',
    ]


def test_label_values_cannot_break_out() -> None:
    counter = Counter("calls_total", "Calls.", "model")
    counter.add(('a"b\\c\nd',))
    assert spell([counter.family()]).splitlines()[2:] == ['calls_total{model="a\\"b\\\\c\\nd"} 1']


def test_what_callers_make_up_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "SERIES_MAX", 3)
    counter = Counter("calls_total", "Calls.", "model")
    for number in range(10):
        counter.add((f"model{number}",))
    counter.add(("model1",))
    samples = counter.family().samples
    assert samples == {("model0",): [1], ("model1",): [2], ("model2",): [1], ("other",): [7]}


def families(calls: int, lag_s: float, *took_s: float) -> list[Family]:
    histogram = Histogram("took_seconds", "How long.", bounds=(1.0,))
    for each in took_s:
        histogram.observe((), each)
    counted = total("calls_total", "Calls.", {("Complete",): calls}, "method")
    return [counted, level("inside", "Inside.", calls), level("lag_s", "Late.", lag_s, fold="max"), histogram.family()]


def test_several_processes_are_told_as_one() -> None:
    both = {each.name: each.samples for each in together(families(3, 0.5, 0.5, 2), families(4, 0.25, 0.5))}
    assert both["calls_total"] == {("Complete",): [7]}
    assert both["inside"] == {(): [7]}
    assert both["lag_s"] == {(): [0.5]}
    assert both["took_seconds"] == {(): [2, 1, 3]}


def test_putting_together_leaves_the_parts_as_they_are() -> None:
    one = families(3, 0.5)
    together(one, families(4, 0.25))
    assert one[0].samples == {("Complete",): [3]}


def test_a_figure_of_another_shape_is_left_out() -> None:
    """Two versions at one address."""
    old = [total("calls_total", "Calls.", {("Complete", "OK"): 9}, "method", "code")]
    [counted] = together(families(3, 0.5)[:1], old)
    assert counted.samples == {("Complete",): [3]}


def test_sources_are_asked_each_time() -> None:
    counts = iter((1, 2))
    told = Figures()
    told.add(lambda: [level("inside", "Inside.", next(counts))])
    assert [told.told()[0].samples, told.told()[0].samples] == [{(): [1]}, {(): [2]}]
