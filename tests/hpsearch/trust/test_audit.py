"""What is out of order in a study is named, and its best value judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpsearch.trust.audit import Audit, Seen, SeenRun, audit


def seen(number: int, **changes: Any) -> Seen:
    """A trial that completed in two seconds."""
    curve = (1 - 0.5 ** np.arange(20)).tolist()
    trial = Seen(number, "COMPLETE", 0.1 * number, f"x = {number}", curve, 10.0, 12.0)
    return replace(trial, **changes)


def run(number: int | None, status: str = "FINISHED") -> SeenRun:
    """A run of a trial."""
    return SeenRun(f"run-{number}", number, status)


def looked(*trials: Seen, maximize: bool | None = True, **more: Any) -> Audit:
    """What there is to be said of trials."""
    return audit(trials, maximize=maximize, now=100.0, **more)


def test_a_study_in_order() -> None:
    """Nothing is out of order; the best is held against the first and the median."""
    found = looked(*map(seen, range(5)), runs=[*map(run, range(5))])
    assert found.ok
    assert found.states == {"COMPLETE": 5}
    assert found.best is not None
    assert (found.best.number, found.best.value, found.best.after) == (4, 0.4, 4)
    assert (found.best.first, found.best.median) == (0.0, 0.2)
    least = looked(*map(seen, range(5)), maximize=False).best
    assert least is not None
    assert (least.number, least.after) == (0, 0)


@pytest.mark.parametrize(
    ("trials", "field", "value"),
    [
        ([seen(0), seen(1, state="RUNNING", ended=None)], "running", {1: 90.0}),
        ([seen(0), seen(1, state="RUNNING", started=None, ended=None)], "running", {1: 0.0}),
        ([seen(0), seen(1, params="x = 0"), seen(2)], "doubled", [[0, 1]]),
        ([seen(0), seen(1, params="x = 0", state="PRUNED"), seen(2)], "doubled", [[0, 1]]),
        ([seen(1, params="x = 0"), seen(0), seen(2)], "doubled", [[0, 1]]),
        ([seen(0), seen(3)], "missing", [1, 2]),
        ([seen(2)], "missing", [0, 1]),
    ],
)
def test_what_is_out_of_order(trials: list[Seen], field: str, value: object) -> None:
    """A trial left RUNNING, doubled, or missing among the numbers."""
    found = looked(*trials)
    assert getattr(found, field) == value
    assert not found.ok
    assert found.longest == 2.0
    assert looked(seen(0), seen(1, ended=17.0), seen(2, started=None)).longest == 7.0
    assert looked(seen(0, ended=None)).longest is None


def test_a_failed_trial_may_be_tried_again() -> None:
    """The same values after a failure are no double, nor are trials without values."""
    trials = [
        seen(0, state="FAIL"),
        seen(1, params="x = 0"),
        seen(2, params=""),
        seen(3, params=""),
    ]
    assert looked(*trials).ok


@pytest.mark.parametrize(
    ("runs", "field", "value"),
    [
        ([run(0)], "lost", [1]),
        ([run(0), run(1), run(7)], "strays", ["run-7"]),
        ([run(0), run(1), run(None)], "strays", ["run-None"]),
        ([run(0), run(1), run(1)], "twice", [1]),
        ([run(0), run(1, "RUNNING")], "dead", ["run-1"]),
        ([run(1, "RUNNING"), run(0, "RUNNING")], "dead", ["run-0", "run-1"]),
        ([], "lost", [0, 1]),
    ],
)
def test_runs_that_do_not_agree(runs: list[SeenRun], field: str, value: object) -> None:
    """A trial without a run or with two, a run without a trial, or one that never ends."""
    found = looked(seen(0), seen(1), runs=runs)
    assert getattr(found, field) == value
    assert not found.ok
    assert looked(seen(0), seen(1)).ok


def test_a_running_trial_may_have_a_run_or_none() -> None:
    """It is written when it ends, or shown before."""
    trials = [seen(0), seen(1, state="RUNNING", ended=None)]
    for runs in ([run(0)], [run(0), run(1, "RUNNING")]):
        found = looked(*trials, runs=runs)
        assert (found.lost, found.strays, found.dead) == ([], [], [])


def test_luck_is_for_shares() -> None:
    """With the number of examples it is estimated; of any other metric only its bound is known."""
    trials = [seen(n, value=round(0.7 + 0.01 * (n % 7), 2)) for n in range(40)]
    shares = looked(*trials, examples=100).best
    assert shares is not None
    assert shares.luck is not None
    assert shares.expected is not None
    assert 0.01 < shares.luck < 0.1
    assert shares.expected.low < shares.expected.value == shares.value - shares.luck
    errors = [replace(t, value=1 - (t.value or 0)) for t in trials]
    mirrored = looked(*errors, maximize=False, examples=100).best
    assert mirrored is not None
    assert mirrored.luck == pytest.approx(shares.luck)
    assert mirrored.expected is not None
    assert mirrored.expected.value == pytest.approx(1 - shares.expected.value)
    for more in ({}, {"examples": 100}):
        losses = looked(*[replace(t, value=(t.value or 0) + 5) for t in trials], **more).best
        assert losses is not None
        assert (losses.luck, losses.expected) == (None, None)
        assert losses.most is not None
        assert 0 < losses.most <= 0.04


@pytest.mark.parametrize(
    ("curve", "improving"),
    [
        (np.linspace(0, 1, 20), True),
        (1 - 0.5 ** np.arange(30), False),
        (np.resize([0.5, 0.6], 30), False),
        (-np.linspace(0, 1, 20), False),
        (np.zeros(20), False),
        (np.append(0.0, 1 + 0.0005 * np.arange(40)), False),
        (np.append(0.0, 1 + 0.005 * np.arange(40)), True),
        (np.append(np.resize([0.0, 1.0], 24), np.linspace(1, 1.1, 16)), True),
        (np.linspace(0, 1, 8), True),
        (np.linspace(0, 1, 7), None),
        (np.linspace(0, 1, 5), None),
        ([], None),
        ([float("nan")] * 20, None),
    ],
)
def test_whether_the_curve_had_ended(curve: Any, improving: bool | None) -> None:
    """One that still improves at its end was cut off; one that goes up and down, or whose gain is
    less than a hundredth of all, was not. What it did before is no noise of its end; and fewer
    than eight reports say nothing."""
    best = looked(seen(0, curve=list(curve))).best
    assert best is not None
    assert best.improving is improving


def test_without_a_best_value() -> None:
    """Several objectives, no COMPLETE trial, or values that are not finite."""
    assert looked(seen(0), maximize=None).best is None
    assert looked().best is None
    assert looked(seen(0, state="FAIL")).best is None
    only = looked(seen(0, value=float("inf")), seen(1)).best
    assert only is not None
    assert (only.number, only.most, only.luck) == (1, None, None)
    several = looked(seen(1, value=0.4), seen(0), seen(2, state="PRUNED"), seen(3)).best
    assert several is not None
    assert (several.metric_complete, several.after, several.first) == (3, 1, 0.0)


def test_where_luck_is_known() -> None:
    """Of two shares and more, from none to all of the examples; of one, nothing is known."""
    ends = looked(seen(0, value=0.0), seen(1, value=1.0), examples=10).best
    assert ends is not None
    assert ends.luck is not None
    assert ends.expected is not None
    assert 0.5 < ends.expected.value < 1.0
    one = looked(seen(0, value=0.5), examples=10).best
    assert one is not None
    assert (one.luck, one.expected, one.most) == (None, None, None)
    for value in (-0.1, 1.1):
        none = looked(seen(0, value=value), seen(1), examples=10).best
        assert none is not None
        assert (none.luck, none.most is None) == (None, False)
