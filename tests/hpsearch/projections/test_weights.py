"""Whose weights are kept with their runs, and how often they are trained for that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.projections import weights
from hpsearch.projections.mlflow_runs import Tracking
from hpsearch.projections.written import Retrained
from hpsearch.trust.refit import to_refit
from tests.conftest import study
from tests.hpsearch.trust.test_given_trials import confirming, enter, searched

WEIGHTS = {"W1": np.ones(2)}


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """An empty ledger."""
    database = Database(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'studies.db')}")
    yield Store(database)
    database.engine.dispose()


class Kept:
    """What is written of weights, and a training that gives them."""

    identical = agrees = True
    state: Mapping[str, Any] = WEIGHTS

    def __init__(self) -> None:
        self.has: set[str] = set()
        self.said: list[str] = []
        self.written: list[tuple[str, Any, bool]] = []

    def has_weights(self, run_id: str) -> bool:
        return run_id in self.has

    def write_weights(self, run_id: str, state: Any, agrees: bool) -> None:
        self.said.append(f"write {run_id}")
        self.written.append((run_id, state, agrees))
        if state is not None:
            self.has.add(run_id)

    def __call__(self, trial: Any) -> Retrained:
        self.said.append(f"train {trial.number}")
        self.outcome = {
            "number": trial.number,
            "identical": self.agrees,
            "recorded_sha256": trial.weights_sha256,
        }
        return cast("Retrained", self)

    def keep(self, store: Store, record: StudyRecord, *ended: int) -> bool:
        runs = {number: f"run {number}" for number in ended}
        return weights.keep(
            store,
            record.name,
            cast("Tracking", self),
            runs,
            self,
            lambda: self.said.append("alone"),
        )


def test_of_a_search_the_best_trials(store: Store) -> None:
    """Trained once, nobody else writing meanwhile, and the ledger knows how it came out."""
    record, kept = searched(store), Kept()
    assert kept.keep(store, record, 0, 1, 2)
    assert kept.said == ["train 1", "alone", "write run 1"]
    assert kept.written == [("run 1", WEIGHTS, True)]
    assert store.study("small").reproduced == kept.outcome
    assert not kept.keep(store, record, 0, 1, 2)
    kept.has.clear()  # somebody deleted them
    assert kept.keep(store, record, 0, 1, 2)
    assert kept.said == ["train 1", "alone", "write run 1"] * 2


def test_what_is_not_the_trials_is_not_kept(store: Store) -> None:
    """It is told, once; weights within a tolerance are another training's, too."""
    record, kept = searched(store), Kept()
    kept.identical = False
    assert kept.keep(store, record, 1)
    assert kept.written == [("run 1", None, True)]
    kept.agrees = False
    other = enter(store, study(name="other", search__trials=1), [0.5])
    assert kept.keep(store, other, 0)
    assert kept.written[1:] == [("run 0", None, False)]
    assert not kept.keep(store, other, 0)


def test_not_yet(store: Store) -> None:
    """As long as trials are left, or the best has no run that has ended."""
    kept = Kept()
    assert not kept.keep(store, enter(store, study(), [0.5]), 0)
    assert not kept.keep(store, enter(store, study(name="none", search__trials=1), ["failed"]), 0)
    assert not kept.keep(store, enter(store, study(name="new", search__trials=1), [0.5]))
    assert kept.said == []


def test_of_a_confirmation_none(store: Store) -> None:
    """Which seed is the luckiest is no question."""
    kept = Kept()
    assert not kept.keep(store, confirming(store, searched(store), [0.7, 0.6] * 2), 0, 1, 2, 3)
    assert kept.said == []


def test_of_a_refit_all(store: Store) -> None:
    """Each network that has a run, unless its weights are there."""
    record, kept = searched(store), Kept()
    own = enter(store, to_refit(store, record, 3), [0.5, "diverged", 0.5])
    kept.has.add("run 2")
    assert kept.keep(store, own, 1, 2) is False
    assert kept.keep(store, own, 0, 1, 2)
    assert kept.said == ["train 0", "alone", "write run 0"]
    assert kept.written == [("run 0", WEIGHTS, True)]
    assert not kept.keep(store, own, 0, 1, 2)
