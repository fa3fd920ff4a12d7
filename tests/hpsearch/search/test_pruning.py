"""What the pruners decide that look at a trial alone: it stalls, or its metric is out of bounds."""

from __future__ import annotations

from typing import Any

import pytest

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
