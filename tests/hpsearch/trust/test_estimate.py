"""What may be said of a study's best value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Outcomes, Result, State, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.trust.estimate import correction
from tests.conftest import study


def entered(
    database: Database, scores: list[Outcomes | None], **changes: Any
) -> tuple[Store, StudyRecord]:
    """A study with trials that scored so on each example."""
    store = Store(database)
    record = store.register(study(**changes), {"dataset": "d"})
    leases = Leases(database, record, lag=None, seed=lambda n: n, owner=Owner.of())
    for each in scores:
        claim = leases.claim()
        assert isinstance(claim, Claim)
        value = 0.5 if each is None else float(each.mean(dtype=float))
        rows = np.full((3, 4), value)
        leases.finish(
            claim.number,
            Result(State.COMPLETE, value, {}, rows, str(claim.number), outcomes=each),
        )
    return store, record


def right(rng: np.random.Generator, trials: int, examples: int = 100) -> list[Outcomes | None]:
    """Trials that are all right on 0.7 of the examples, but for luck."""
    return [rng.random(examples) < 0.7 for _ in range(trials)]


def test_the_best_is_corrected(database: Database) -> None:
    """Of twenty trials that are all the same, the best is corrected to what they all are."""
    store, record = entered(database, right(np.random.default_rng(1), 20), search__trials=20)
    best = store.best(record)
    found = correction(store, record)
    assert best is not None
    assert best.value is not None
    assert found.estimate is not None
    assert best.value > 0.76
    assert pytest.approx(0.7, abs=0.03) == found.estimate.value
    assert found.estimate.low < 0.7 < found.estimate.high
    assert (found.chosen_from, found.led, found.reason) == (20, False, None)


def test_it_is_the_same_number_every_time(database: Database) -> None:
    """The draws are seeded by the search's seed: another search's are others."""
    scores = right(np.random.default_rng(2), 5)
    store, record = entered(database, scores)
    assert correction(store, record) == correction(store, record)
    other = correction(*entered(database, scores, name="another", search__seed=1))
    assert other.estimate != correction(store, record).estimate


def test_a_search_that_was_led_says_so(database: Database) -> None:
    """TPE was led by the values of earlier trials, which no later choice corrects for."""
    scores = right(np.random.default_rng(3), 5)
    store, record = entered(database, scores, search__sampler="tpe")
    assert correction(store, record).led


@pytest.mark.parametrize(
    ("scores", "changes", "reason"),
    [
        ([np.ones(9, bool)], {}, "there are fewer than two complete trials"),
        ([np.ones(9, bool), None], {}, "not all trials recorded"),
        ([np.ones(9, bool), np.ones(8, bool)], {}, "not all trials were scored on the same"),
        ([np.ones(1, bool)] * 2, {}, "at least two validation examples"),
        (
            [None, None],
            {
                "data__dataset": "csv:a.csv#b",
                "data__task": "regression",
                "search__metric": "val_r2",
            },
            "a regression scores no single example",
        ),
        ([np.ones(9, bool)] * 2, {"search__metric": "train_accuracy"}, "not measured on a"),
    ],
)
def test_why_there_is_none(
    database: Database, scores: list[Outcomes | None], changes: dict[str, Any], reason: str
) -> None:
    """Where nothing can be corrected, the reason is said."""
    found = correction(*entered(database, scores, **changes))
    assert found.estimate is None
    assert reason in str(found.reason)
