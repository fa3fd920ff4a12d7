"""What pruners decide: of a trial alone, or of its folds beside those of the best one."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.ledger.records import Fold, State, Trial, curve, mean_of
from hpsearch.search.history import History
from hpsearch.search.pruning import STALL, Pruning
from tests.conftest import study


def stopped_after(metric: list[float], **search: Any) -> int | None:
    """The epoch after which a trial with this metric is stopped; None if it never is."""
    asked = {f"search__{key}": value for key, value in search.items()}
    of = study(training__epochs=30, search__metric="val_loss", **asked)
    pruning = Pruning(of, History(of), 0, {"training.lr": 0.1, "network.dropout": 0.0})
    for epoch, value in enumerate(metric, start=1):
        if pruning.stops(epoch, value):
            return epoch
    return None


FALLING = [1.0 / epoch for epoch in range(1, 30)]


@pytest.mark.parametrize("stall", [None, 2, 8])
def test_patient_pruner_stops_what_stalls(stall: int | None) -> None:
    """So many epochs without a better value, five unless the study says otherwise."""
    asked = {} if stall is None else {"stall": stall}
    better = FALLING[:6]
    found = stopped_after(better + [1.0] * 20, pruner="patient", **asked)
    assert found == len(better) + (STALL if stall is None else stall) + 1
    assert stopped_after(FALLING, pruner="patient", **asked) is None


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({"upper": 0.9}, 1), ({"lower": 0.3}, 4), ({"lower": 0.01, "upper": 2.0}, None)],
)
def test_threshold_pruner_stops_what_is_out_of_bounds(
    bounds: dict[str, float], expected: int | None
) -> None:
    """At the first epoch at which the metric is below the one bound or above the other."""
    assert expected == stopped_after(FALLING, pruner="threshold", **bounds)
    later = stopped_after(FALLING, pruner="threshold", min_epochs=6, **bounds)
    assert later == (6 if bounds == {"lower": 0.3} else None)


def complete(number: int, values: list[float]) -> Trial:
    """A trial whose folds came to these values."""
    folds = tuple(Fold(1, 10, value) for value in values)
    return Trial(
        number=number,
        state=State.COMPLETE,
        value=mean_of(folds),
        params={"training.lr": 0.1, "network.dropout": 0.0},
        epochs=len(folds),
        seed=0,
        attempts=1,
        started=0.0,
        ended=1.0,
        weights_sha256=None,
        mlflow_run_id=None,
        reason=None,
        rungs={},
        environment=None,
        in_optuna=False,
        in_mlflow=False,
        folds=folds,
    )


@pytest.mark.parametrize("threshold", [None, 0.05, 0.3])
@pytest.mark.parametrize("drop", [0.01, 0.03, 0.1])
def test_wilcoxon_pruner_compares_fold_by_fold(threshold: float | None, drop: float) -> None:
    """It asks whether the folds so far are worse than those of the best, not the newest, trial."""
    from scipy.stats import wilcoxon

    more = {} if threshold is None else {"search__p_threshold": threshold}
    of = study(training__repeats=10, search__pruner="wilcoxon", search__lag=1, **more)
    best = [0.80, 0.91, 0.75, 0.88, 0.83, 0.79, 0.95, 0.72, 0.86, 0.90]
    noise = [0.02, -0.011, 0.031, 0.007, -0.023, 0.013, 0.001, -0.017, 0.029, -0.005]
    rows = curve([[0.0] * 4] * 10)
    history = History(of)
    history.add([(complete(0, best), rows), (complete(1, [0.1] * 10), rows)])
    pruning = Pruning(of, history, 2, {"training.lr": 0.2, "network.dropout": 0.0})
    values = [value - drop + off for value, off in zip(best, noise, strict=True)]
    for step in range(1, 10):
        gaps = [mine - its for mine, its in zip(values[:step], best, strict=False)]
        worse = step > 1 and wilcoxon(gaps, alternative="less").pvalue < (threshold or 0.1)
        behind = sum(values[:step]) / step < sum(best) / 10  # Optuna's own precaution
        assert pruning.stops(step, values[step - 1]) == (worse and behind)
