"""What a study's own run in MLflow says of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.records import Opened, Opening, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.projections.summary import Summary, reproduction_of, summary_of
from hpsearch.study import file as study_file
from hpsearch.trust.confirming import confirmation
from hpsearch.trust.estimate import correction
from hpsearch.trust.refit import to_refit
from tests.conftest import study
from tests.hpsearch.trust.test_given_trials import BAD, GOOD, confirming, enter, searched


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """An empty ledger."""
    database = Database(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'studies.db')}")
    yield Store(database)
    database.engine.dispose()


def said(store: Store, record: StudyRecord, page: str | None = None, **more: Any) -> Summary:
    """What is said of a study."""
    return summary_of(store, record, store.best(record), page, **{"live": False, **more})


def opening(**changes: Any) -> Opening:
    """One that showed a value."""
    result = Opened(
        metric="test_accuracy",
        trial=1,
        value=0.87654,
        low=0.85,
        high=0.9,
        baseline=None,
        better=None,
        seeds=2,
        examples=900,
        trained=90,
        out=None,
    )
    return Opening("small/test", 3.0, replace(result, **changes))


def test_of_a_search(store: Store) -> None:
    """How far it is, its best trial with what it tried, and when it ended."""
    record = searched(store)
    found = said(store, record)
    first, best, *_ = found.note.split("\n\n")
    assert first == "3 of 3 trials finished: 3 complete, 0 pruned, 0 failed."
    assert best == "Best: trial 1, val_accuracy 0.9 (network.dropout = 0.2, training.lr = 0.11)."
    assert found.metrics == {"complete": 3, "pruned": 0, "failed": 0, "best_value": 0.9}
    assert (found.status, found.ended, found.step) == ("FINISHED", "trials", 3)
    ended = [trial.ended or 0.0 for trial in store.trials(record.id)]
    assert found.end == round(max(ended) * 1000)
    assert (found.reproduced, found.above, found.rounds, found.front) == (None, None, (), "")
    assert found.definition == study_file.toml(record.study)
    assert "[trial 1](page), val" in said(store, record, "page").note
    assert found.text() == said(store, record).text() != said(store, record, "page").text()


def test_of_one_that_goes_on(store: Store) -> None:
    """It is RUNNING as long as somebody looks after it, and has no end."""
    record = enter(store, study(), [0.5, "failed"])
    for live, status in ((True, "RUNNING"), (False, "KILLED")):
        found = said(store, record, live=live)
        assert (found.status, found.end, found.ended, found.step) == (status, None, "-", 2)
    assert found.note.startswith("2 of 6 trials finished: 1 complete, 0 pruned, 1 failed.")


def test_the_corrected_value(store: Store) -> None:
    """Once all trials have ended, where each recorded what each example scored."""
    record = enter(store, study(search__trials=3), [GOOD, BAD])
    assert "corrected_value" not in said(store, record).metrics
    own = enter(store, study(name="whole", search__trials=2), [GOOD, BAD])
    honest = correction(store, own).estimate
    assert honest is not None
    found = said(store, own)
    told = {key: found.metrics[f"corrected_{key}"] for key in ("value", "low", "high")}
    assert told == {"value": honest.value, "low": honest.low, "high": honest.high}
    assert f"Corrected for choosing among 2: {honest.value:.4g} (" in found.note


def test_equal_bests_are_told(store: Store) -> None:
    """The best is the first of several that have its value."""
    found = said(store, enter(store, study(search__trials=2), [0.5, 0.5]))
    assert "Best: trial 0, " in found.note
    assert len(found.note.split("\n\n")) == 3
    assert len(said(store, enter(store, study(name="b"), [0.5, 0.25])).note.split("\n\n")) == 2


def test_a_confirmation(store: Store) -> None:
    """Its winner is told by the study and by the confirmation itself, which has no best trial."""
    record = searched(store)
    assert "confirmed_value" not in said(store, record).metrics
    own = confirming(store, record, [GOOD, BAD] * 3)
    found = confirmation(store, record)
    assert found is not None
    estimate = found.winner.estimate
    assert estimate is not None
    for each in (record, own):
        told = said(store, each)
        assert {key: told.metrics[f"confirmed_{key}"] for key in ("value", "low", "high")} == {
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
        }
        assert (
            f"Confirmed over 3 new seeds: trial 1, val_accuracy {estimate.value:.4g} "
            f"({estimate.low:.4g} to {estimate.high:.4g})."
        ) in told.note
        assert ("best_value" in told.metrics, "Best: " in told.note) == (each is record,) * 2
    refit = enter(store, to_refit(store, record, 1), [0.5])
    assert "Confirmed" not in said(store, refit).note
    store.mark_parent(record.id, "its run", "{}")
    assert (said(store, own).above, said(store, record).above) == ("its run", None)


@pytest.mark.parametrize(
    ("openings", "line", "metrics"),
    [
        (
            [opening()],
            "once: test_accuracy 0.8765 (0.85 to 0.9) on 900 examples.",
            {"test_openings": 1, "test_value": 0.87654, "test_low": 0.85, "test_high": 0.9},
        ),
        (
            [opening(value=0.5), opening()],
            "2 times; this is what the first one showed: test_accuracy 0.5 (0.85 to 0.9) on 900",
            {"test_openings": 2, "test_value": 0.5, "test_low": 0.85, "test_high": 0.9},
        ),
        (
            [Opening("small/test", 3.0, None)],
            "once; that is not at its end.",
            {"test_openings": 1},
        ),
        (
            [opening(value=None, low=None, high=None, out="diverged")],
            "once: no value (diverged).",
            {"test_openings": 1},
        ),
    ],
)
def test_the_test_part(
    store: Store, openings: list[Opening], line: str, metrics: dict[str, float]
) -> None:
    """How often it was opened, and what that showed the first time."""
    record = replace(searched(store), openings=tuple(openings))
    found = said(store, record)
    assert f"The test part was opened {line}" in found.note
    assert {k: v for k, v in found.metrics.items() if k.startswith("test_")} == metrics


def test_what_training_again_showed(store: Store) -> None:
    """Of the best trial with its weights alone: a better one since was not trained again."""
    record = searched(store)
    best = store.best(record)
    assert best is not None
    known = {"number": 1, "recorded_sha256": "0" * 64, "identical": True, "first_difference": None}
    for changes, identical, line in (
        ({}, True, "Trained again it gave the same bits."),
        (
            {"identical": False, "first_difference": "epoch 2"},
            False,
            "Trained again it DIFFERED: epoch 2.",
        ),
        ({"number": 0}, None, ""),
        ({"recorded_sha256": "1" * 64}, None, ""),
    ):
        own = replace(record, reproduced={**known, **changes})
        assert reproduction_of(own, best) is identical
        found = said(store, own)
        assert found.reproduced is identical
        assert line in found.note
        assert ("Trained again" in found.note) is bool(line)


def test_a_long_note_is_cut(store: Store) -> None:
    """At as many characters as MLflow takes."""
    record = searched(store)
    openings = (opening(out="x" * 9000, value=None),)
    assert len(said(store, replace(record, openings=openings)).note) == 8000


def test_scores_are_shown_as_a_person_writes_them(store: Store) -> None:
    """With four digits; their params have all of them."""
    record = enter(store, study(search__trials=1), [np.float64(0.123456789).item()])
    assert "val_accuracy 0.1235 (" in said(store, record).note
