"""``measure``: after which epochs the training part is measured, and what is shown where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from hpsearch.errors import StudyFileError
from tests.conftest import study
from tests.hpsearch.command_line import Call
from tests.hpsearch.training.test_f1 import training
from tests.hpsearch.work.crew import ran
from tests.hpsearch.workspace import MLFLOWS_WARNINGS


def rows(epochs: int = 7, **changes: Any) -> tuple[NDArray[np.float64], str | None]:
    """The curve of a trial, and its weights' digest."""
    made = training(training__epochs=epochs, training__report=["f1"], **changes)
    return np.array(list(made)), made.sha256


@pytest.mark.parametrize(
    ("measure", "epochs"),
    [("every", [1, 2, 3, 4, 5, 6, 7]), (1, [1, 2, 3, 4, 5, 6, 7]), (3, [3, 6, 7]), ("last", [7])],
)
def test_all_else_stays_the_same(measure: object, epochs: list[int]) -> None:
    """What is measured is what it would be without the key, and so are the weights."""
    whole, weights = rows()
    some, same = rows(training__measure=measure)
    assert weights == same
    assert whole[:, [2, 3, 5]].tolist() == some[:, [2, 3, 5]].tolist()
    measured = np.flatnonzero(~np.isnan(some[:, 0])) + 1
    assert measured.tolist() == epochs
    assert (np.isnan(some[:, 0]) == np.isnan(some[:, [1, 4]]).all(axis=1)).all()
    assert whole[measured - 1].tolist() == some[measured - 1].tolist()


def test_patience_tells_which_epoch_is_the_last() -> None:
    """The one at which it is used up."""
    some, _ = rows(500, training__measure="last", training__patience=1)
    assert len(some) < 500
    assert np.flatnonzero(~np.isnan(some[:, 0])).tolist() == [len(some) - 1]


def test_a_divergence_is_seen_without_it() -> None:
    """The validation part tells it."""
    made = training(training__measure="last", network__init=1e30)
    assert list(made) == []
    assert made.diverged


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training__measure": {"choices": ["every", "last"]}}, "must be the same for all trials"),
        ({"training__measure": 2, "search__metric": "train_loss"}, 'must be "every"'),
        ({"training__measure": 0}, "greater than or equal to 1"),
    ],
    ids=str,
)
def test_what_cannot_be(changes: dict[str, Any], said: str) -> None:
    """One line says why."""
    with pytest.raises(StudyFileError, match=rf"^training\.measure: .*{said}"):
        study(**changes)


@MLFLOWS_WARNINGS
def test_what_is_not_measured_is_shown_nowhere(home: Path, call: Call) -> None:
    """Not in a curve, not in MLflow; and nothing is missing where it should not be."""
    from mlflow import MlflowClient

    of = study(
        training__epochs=4,
        training__measure=3,
        search={"trials": 4, "pruner": "threshold", "lower": 0.1, "min_epochs": 2},
    )
    store, record = ran(of, home, 1)
    assert call("sync", "small").code == 0
    assert call("verify", "small", "--json").json["violations"] == []
    epochs = call("curve", "small", "--json").json["epochs"]
    assert [epoch["train_loss"] is None for epoch in epochs] == [True, True, False, False]
    assert None not in [epoch["val_loss"] for epoch in epochs]
    assert "-" in call("curve", "small").out.split()
    assert call("report", "small").code == 0
    best = call("best", "small", "--json").json
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    points = client.get_metric_history(best["mlflow_run_id"], "train_accuracy")
    assert sorted(point.step for point in points) == [3, 4]
    again = call("reproduce", "--run", best["mlflow_run_id"])
    assert again.code == 0, again.err
    assert call("sync", "small").code == 0  # which finds all as it should be
    with store.database.write() as connection:
        curve = np.full((4, 4), 0.5).astype("<f8").tobytes()
        query = "UPDATE hpsearch_curves SET epochs = :curve WHERE number = :number"
        connection.execute(sa.text(query), {"curve": curve, "number": best["number"]})
    found = call("verify", "small", "--no-tracking", "--json").json["violations"]
    assert "measured" in {violation["invariant"] for violation in found}
    assert record.study.gaps
