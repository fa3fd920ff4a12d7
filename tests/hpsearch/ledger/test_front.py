"""The Pareto front: the trials that no other surpasses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.ledger.front import front
from hpsearch.ledger.ranking import values
from hpsearch.ledger.records import Curve, Fold, State, Trial, curve
from hpsearch.study.config import Study
from tests.conftest import study
from tests.hpsearch.search.test_suggest import in_order, searched

EXAMPLE, _ = in_order(searched(search__lag=1))[0]


def several(**changes: object) -> Study:
    """A study by validation accuracy, loss and the number of weights."""
    also = {"val_loss": "minimize", "parameters": "minimize"}
    return study(training__report=["parameters"], search__also=also, **changes)


def trial(number: int, accuracy: float, parameters: float, loss: float) -> tuple[Trial, Curve]:
    """A COMPLETE trial with one epoch."""
    made = replace(EXAMPLE, number=number, value=accuracy, state=State.COMPLETE)
    return made, curve([[0.0, 0.0, loss, accuracy, parameters]], 5)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_it_is_what_its_definition_says(points: list[tuple[int, int, int]]) -> None:
    """A trial is on it exactly if none is as good by all objectives, and better by one."""
    found = front(several(), [trial(n, *map(float, at)) for n, at in enumerate(points)])
    losses = [(-accuracy, parameters, loss) for accuracy, parameters, loss in points]
    expected = [
        (losses[n], n)
        for n in range(len(points))
        if not any(
            other != losses[n] and all(map(np.less_equal, other, losses[n])) for other in losses
        )
    ]
    assert [one.trial.number for one in found] == [number for _, number in sorted(expected)]
    assert [one.values for one in found] == [
        (points[n][0], points[n][1], points[n][2]) for _, n in sorted(expected)
    ]


def test_only_complete_trials_are_on_it() -> None:
    """A pruned trial has not come to its end, however good it was."""
    (one, rows), other = trial(0, 0.9, 10.0, 0.1), trial(1, 0.5, 20.0, 0.5)
    stopped = replace(one, state=State.PRUNED, value=None)
    assert [each.trial.number for each in front(several(), [(stopped, rows), other])] == [1]
    assert front(several(), [(stopped, rows)]) == []


def test_with_patience_the_best_epoch_counts() -> None:
    """The values are all of the weights that the trial ended with."""
    of = several(training__patience=2)
    rows = curve([[0, 0, 0.5, 0.7, 9], [0, 0, 0.3, 0.8, 9], [0, 0, 0.4, 0.9, 9]], 5)
    made = replace(EXAMPLE, value=0.8, params={})
    assert values(of, made, rows) == (0.8, 9.0, 0.3)
    assert values(several(), made, rows) == (0.8, 9.0, 0.4)


def test_of_folds_it_is_the_mean_by_weight() -> None:
    """Each training's last epoch counts, as much as it has validation examples."""
    of = several(training__repeats=2)
    rows = curve([[0, 0, 9, 0, 7], [0, 0, 1, 0, 7], [0, 0, 4, 0, 7]], 5)
    folds = (Fold(2, 1, 0.5), Fold(1, 3, 0.5))
    assert values(of, replace(EXAMPLE, value=0.5, folds=folds), rows) == (0.5, 7.0, 3.25)
