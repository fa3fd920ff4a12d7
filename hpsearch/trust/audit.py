"""Is somebody else's study in order, and what is its best value worth?

What is known of its trials is judged here; this module knows no storage.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch.trust.luck import luck, most
from hpsearch.trust.selection import Estimate, wilson

_GAIN = 0.01
_TAIL = 0.2
"""The last part of a curve: one that still improves there has not ended."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A trial, as its storage shows it; times are seconds since 1970."""

    number: int
    state: str
    """COMPLETE, PRUNED, FAIL, RUNNING or WAITING."""
    value: float | None
    params: str
    """What it tried, as one text for the same; empty where it has nothing yet."""
    curve: Sequence[float]
    """What it reported, in the order of the steps."""
    started: float | None
    ended: float | None


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run in MLflow."""

    id: str
    number: int | None
    """The trial's number that it names; None if it names none."""
    status: str


@dataclass(frozen=True, slots=True)
class Value:
    """The best value, and what it is worth."""

    number: int
    value: float
    metric_complete: int
    """COMPLETE trials with a finite value."""
    first: float
    """The first of them."""
    median: float
    after: int
    """How many of them came before it."""
    luck: float | None
    """What of the value is to be expected to be luck; None where that is not known."""
    expected: Estimate | None
    """What is to be expected on other examples, where the luck is known."""
    most: float | None
    """What of it can be luck at most, by the spread of the values; None of one value."""
    improving: bool | None
    """Whether its curve still improved at its end; None where it reported too little."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a study looks like."""

    states: Mapping[str, int]
    running: Mapping[int, float]
    """Trials that are RUNNING, and for how many seconds."""
    longest: float | None
    """Seconds of the longest trial that ended."""
    doubled: Sequence[Sequence[int]]
    """Trials that tried the same."""
    missing: Sequence[int]
    """Numbers below the highest that no trial has."""
    best: Value | None
    lost: Sequence[int] = field(default_factory=list)
    """Finished trials that have no run."""
    strays: Sequence[str] = field(default_factory=list)
    """Runs of no trial that is there."""
    twice: Sequence[int] = field(default_factory=list)
    """Trials that have several runs."""
    dead: Sequence[str] = field(default_factory=list)
    """Runs that are RUNNING, of trials that are not."""

    @property
    def ok(self) -> bool:
        """Whether nothing is out of order; how the best value is to be read is another question."""
        faults = (self.running, self.doubled, self.missing, self.lost, self.strays, self.twice)
        return not any(faults) and not self.dead


def audit(
    trials: Sequence[Seen],
    *,
    maximize: bool | None,
    now: float,
    examples: int | None = None,
    runs: Sequence[SeenRun] | None = None,
) -> Audit:
    """Look at a study.

    Args:
        trials: All of its trials.
        maximize: Whether a larger value is better; None where there are several objectives.
        now: The time, seconds since 1970.
        examples: Validation examples that each value is a share of, where it is one.
        runs: Its runs in MLflow, if they are asked for.
    """
    numbers = {trial.number for trial in trials}
    same: dict[str, list[int]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.params and trial.state in ("COMPLETE", "PRUNED", "RUNNING"):
            same[trial.params].append(trial.number)
    took = [t.ended - t.started for t in trials if t.ended is not None and t.started is not None]
    lost, strays, twice, dead = _runs(trials, runs) if runs is not None else ([], [], [], [])
    return Audit(
        states=dict(Counter(trial.state for trial in trials)),
        running={t.number: now - (t.started or now) for t in trials if t.state == "RUNNING"},
        longest=max(took, default=None),
        doubled=[found for found in same.values() if len(found) > 1],
        missing=sorted(set(range(max(numbers, default=-1))) - numbers),
        best=None if maximize is None else _best(trials, maximize=maximize, examples=examples),
        lost=lost,
        strays=strays,
        twice=twice,
        dead=dead,
    )


def _runs(
    trials: Sequence[Seen], runs: Sequence[SeenRun]
) -> tuple[list[int], list[str], list[int], list[str]]:
    states = {trial.number: trial.state for trial in trials}
    named: Counter[int] = Counter(run.number for run in runs if run.number is not None)
    lost = [n for n, s in states.items() if s in ("COMPLETE", "PRUNED", "FAIL") and not named[n]]
    strays = [run.id for run in runs if run.number is None or run.number not in states]
    twice = [number for number, count in named.items() if count > 1 and number in states]
    dead = [
        run.id
        for run in runs
        if run.status == "RUNNING"
        and run.number is not None
        and states.get(run.number, "RUNNING") != "RUNNING"
    ]
    return sorted(lost), sorted(strays), sorted(twice), sorted(dead)


def _best(trials: Sequence[Seen], *, maximize: bool, examples: int | None) -> Value | None:
    valued = [
        (trial, trial.value)
        for trial in sorted(trials, key=lambda trial: trial.number)
        if trial.state == "COMPLETE" and trial.value is not None and np.isfinite(trial.value)
    ]
    if not valued:
        return None
    sign = 1.0 if maximize else -1.0
    values = np.array([value for _, value in valued], np.float64)
    place = int((sign * values).argmax())
    trial, value = valued[place]
    shares = bool(((values >= 0) & (values <= 1)).all())
    known = examples is not None and shares and len(values) > 1
    upright = values if maximize else 1 - values
    by_luck = luck(upright, examples) if known and examples else None
    return Value(
        number=trial.number,
        value=value,
        metric_complete=len(values),
        first=float(values[0]),
        median=float(np.median(values)),
        after=place,
        luck=by_luck,
        expected=None
        if by_luck is None or examples is None
        else wilson(min(1.0, max(0.0, value - sign * by_luck)), examples),
        most=most(sign * values) if len(values) > 1 else None,
        improving=_improving(sign * np.array(trial.curve, np.float64)),
    )


def _improving(curve: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool | None:
    """Whether the last fifth of a curve is better than the fifth before, by more than its noise.

    The noise is that of the steps from one report to the next over both, so that a curve that only
    goes up and down has ended; and a gain of less than a hundredth of the whole curve is none.
    """
    part = round(len(curve) * _TAIL)
    if part < 2 or not np.isfinite(curve).all():
        return None
    before, last = curve[-2 * part : -part], curve[-part:]
    gain = float(last.mean() - before.mean())
    steps = np.diff(curve[-2 * part :])
    noise = float(steps.std()) / np.sqrt(part)
    return bool(gain > max(noise, _GAIN * float(np.ptp(curve))))
