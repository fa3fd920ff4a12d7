"""Which paused trial goes on? The rule of successive halving, over trials that are made up."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.records import BEFORE, CONTINUES, Curve, State, Trial, curve
from hpsearch.search.history import History
from hpsearch.search.promotion import Continued, Pausing, continued, place, seed_of
from hpsearch.search.seeds import training_seed
from hpsearch.search.suggest import suggest
from hpsearch.study.config import Params, Study
from tests.conftest import study
from tests.hpsearch.search.test_history import TRIAL


def halved(**changes: Any) -> Study:
    """Rungs after 1, 3 and 9 of 27 epochs, and no lag."""
    options = {"training__epochs": 27, "search__pruner": "pausing", "search__lag": 1}
    return study(**options | {"search__trials": 60} | changes)


def ended(number: int, epochs: int, value: float, **changes: Any) -> tuple[Trial, Curve]:
    """A trial that came so far, always with the same value."""
    whole = epochs == 27
    params = {"training.lr": 0.1 + number / 100, "network.dropout": 0.25}
    trial = replace(
        TRIAL,
        number=number,
        state=State.COMPLETE if whole else State.PRUNED,
        value=value if whole else None,
        params=params,
        epochs=epochs,
        rungs={},
    )
    return replace(trial, **changes), curve([(1.0, value, 1.0, value)] * epochs)


def history(of: Study, *trials: tuple[Trial, Curve]) -> History:
    """Of these trials."""
    found = History(of)
    found.add(trials)
    return found


def on(number: int, of: int, epochs: int, value: float, before: int) -> tuple[Trial, Curve]:
    """A trial that continued another one."""
    params = ended(of, 1, 0.0)[0].params
    return ended(number, epochs, value, params=params, rungs={CONTINUES: of, BEFORE: before})


def test_the_best_third_goes_on() -> None:
    """Where three have come to a rung, the best of them; and where two have, none."""
    of = halved()
    two = history(of, ended(0, 1, 0.5), ended(1, 1, 0.7))
    assert continued(of, two, 2) is None
    three = history(of, ended(0, 1, 0.5), ended(1, 1, 0.7), ended(2, 1, 0.6))
    assert continued(of, three, 3) == Continued(1, step=1, epochs=1)


def test_less_may_be_better() -> None:
    """By the direction of the search; of equal ones the first."""
    of = halved(search__direction="minimize")
    three = history(of, ended(0, 1, 0.5), ended(1, 1, 0.4), ended(2, 1, 0.4))
    found = continued(of, three, 3)
    assert found is not None
    assert found.number == 1


def test_no_trial_is_continued_twice() -> None:
    """Not by a trial that is running, either: what it continues follows from what it sees."""
    of = halved(search__lag=2)
    six = [ended(n, 1, n / 10) for n in range(6)]
    seen = history(of, *six)
    assert [continued(of, seen, n) for n in range(4)] == [None] * 4
    # Trial 4 sees 0 to 2, trial 5 sees 3, and trial 7 sees 5.
    assert continued(of, seen, 4) == Continued(2, 1, 1)
    assert continued(of, seen, 5) == Continued(3, 1, 1)
    seen = history(of, *six[:4], on(4, 2, 3, 0.2, 1), on(5, 3, 3, 0.3, 1))
    assert [continued(of, seen, n) for n in (6, 7)] == [None, None]


@pytest.mark.parametrize("lag", [1, 5])
def test_it_is_the_rule_of_the_paper(lag: int) -> None:
    """Algorithm 2, written down by configurations: the same one comes to the same rung each time.

    It has the params and the seed of its first trial. A trial sees the results of those that are
    older by the lag, and knows what all others do.
    """
    of, rng = halved(search__lag=lag), np.random.default_rng(lag)
    rungs = (1, 3, 9, 27)
    seen = History(of)
    steps: list[tuple[int, int]] = []  # by number, a configuration and the rung that it came to
    values: dict[tuple[int, int], float] = {}
    numbers: dict[tuple[int, int], int] = {}
    tried: dict[int, Params] = {}
    for number in range(60):
        done = steps[: max(number - lag + 1, 0)]
        step = (place(of, seen, number), 0)
        for rung in (2, 1, 0):
            there = [c for c, k in done if k == rung]
            best = sorted(there, key=lambda c: (-values[c, rung], numbers[c, rung]))
            able = [c for c in best[: len(there) // 3] if (c, rung + 1) not in steps]
            if able:
                step = (able[0], rung + 1)
                break
        configuration, rung = step
        found = continued(of, seen, number)
        origin = numbers.get((configuration, rung - 1))
        assert (None if found is None else found.number) == origin
        first = number if origin is None else numbers[configuration, 0]
        assert seed_of(of, seen, number) == training_seed(of, first)
        params = suggest(of, seen, number)
        assert params == tried.setdefault(configuration, params)
        steps.append(step)
        numbers[step], values[step] = number, float(rng.integers(10))
        known = {} if origin is None else {CONTINUES: origin, BEFORE: rungs[rung - 1]}
        short = [rungs[0], *(b - a for a, b in pairwise(rungs))]
        rows = [values[configuration, k] for k in range(rung + 1) for _ in range(short[k])]
        trial, _ = ended(number, rungs[rung], values[step], params=params, rungs=known)
        seen.add([(trial, curve([(0.0, 0.0, 0.0, value) for value in rows]))])
    assert {rung for _, rung in steps} >= {0, 1, 2}


def test_what_has_ended_does_not_go_on() -> None:
    """One that diverged, or whose own epochs are over, has its place, and is left where it is."""
    of = halved()
    trial, rows = ended(1, 1, 0.9)
    over = replace(trial, state=State.COMPLETE, value=0.9)
    seen = history(of, ended(0, 1, 0.5), (over, rows), ended(2, 1, 0.6))
    assert continued(of, seen, 3) is None
    early = ended(1, 0, 0.9, reason="diverged")
    seen = history(of, ended(0, 1, 0.5), early, ended(2, 1, 0.6), ended(3, 1, 0.2))
    assert continued(of, seen, 4) == Continued(2, 1, 1)


@pytest.mark.parametrize("sampler", ["qmc", "grid"])
def test_no_point_of_a_sequence_is_left_out(sampler: str) -> None:
    """A sampler that goes by numbers counts the trials that begin."""
    choices = {"choices": [0.1, 0.2, 0.3, 0.4, 0.5]} if sampler == "grid" else {}
    changes = {"training__lr": choices, "network__dropout": 0.1} if choices else {}
    plain = study(search__sampler=sampler, search__trials=60, **changes)
    of = halved(search__sampler=sampler, **changes)
    trials: list[tuple[Trial, Curve]] = []
    begun = []
    for number in range(6):
        seen = history(of, *trials)
        params = suggest(of, seen, number)
        origin = continued(of, seen, number)
        if origin is None:
            begun.append(params)
            assert place(of, seen, number) == len(begun) - 1
            trials.append(ended(number, 1, number / 10, params=params))
        else:
            rungs = {CONTINUES: origin.number, BEFORE: 1}
            trials.append(ended(number, 3, 0.5, params=params, rungs=rungs))
    assert len(begun) < 6
    assert begun == [suggest(plain, History(plain), number) for number in range(len(begun))]


def test_enqueued_points_are_all_tried() -> None:
    """Those that are left when a trial goes on come after it."""
    points = [{"training.lr": lr} for lr in (0.1, 0.2, 0.3, 0.4)]
    of = halved(search__enqueue=points)
    trials = [
        ended(n, 1, n / 10, params={"training.lr": 0.1, "network.dropout": 0.1}) for n in (0, 1, 2)
    ]
    seen = history(of, *trials)
    assert continued(of, seen, 3) is not None
    trials.append(on(3, 2, 3, 0.2, 1))
    assert suggest(of, history(of, *trials), 4)["training.lr"] == 0.4


def test_a_sampler_sees_a_configuration_once() -> None:
    """As far as it has come: not the trials that another one continues."""
    of = halved(search__sampler="tpe")
    seen = history(of, ended(0, 1, 0.5), ended(1, 1, 0.7), ended(2, 1, 0.6), on(3, 1, 3, 0.7, 1))
    assert [trial.number for trial in seen.window(3)] == [0, 1, 2]
    assert [trial.number for trial in seen.window(4)] == [0, 2, 3]


def test_it_stops_at_the_next_rung() -> None:
    """And at no other: what it is after that one is said by another trial."""
    of = halved()
    seen = history(of, ended(0, 1, 0.5), ended(1, 1, 0.7), ended(2, 1, 0.6))
    begins, goes_on = Pausing(of, seen, 0), Pausing(of, seen, 3)
    assert [step for step in range(1, 28) if begins.stops(step, 0.5)] == [1, 3, 9]
    assert [step for step in range(1, 28) if goes_on.stops(step, 0.5)] == [3, 9]
    assert (begins.rungs, goes_on.rungs) == ({}, {CONTINUES: 1, BEFORE: 1})
