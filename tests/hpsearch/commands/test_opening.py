"""``test``: the test part is opened once, and how often is said for ever."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data.datasets import load
from hpsearch.data.splits import split
from hpsearch.errors import StoreError, UsageError
from hpsearch.ledger import openings
from hpsearch.ledger.database import Database
from hpsearch.ledger.records import Opened
from hpsearch.ledger.store import Store
from hpsearch.study import file as study_file
from hpsearch.training import make
from hpsearch.trust.opening import to_test
from tests.conftest import study
from tests.hpsearch.command_line import Call
from tests.hpsearch.commands.test_confirm import confirmed, done, run, store
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

__all__ = ["done", "store"]

pytestmark = MLFLOWS_WARNINGS
SHOWN = Opened("test_accuracy", 3, 0.5, 0.4, 0.6, 0.1, 0.9, 5, 900, 60, None)


def test_once(store: Store, home: Path, call: Call) -> None:
    """It trains on all but the test part, shows the result, and refuses the second time."""
    asked = ("test", "small", "--seeds", "2", "--workers", "1")
    first = call(*asked)
    assert first.code == 0, first.err
    assert first.out.startswith("test part, opened once: test_accuracy 0.")
    assert " examples, trained on 90 with 2 seeds; the baseline comes to 0." in first.out
    digest = call("digest", "small/test").out
    again = call(*asked)
    assert (again.code, again.out) == (2, first.out)
    assert "opened before, as shown; to open it once more" in again.err
    assert call("digest", "small/test").out == digest
    assert call("verify", "small").code == call("verify", "small/test").code == 0
    assert call("best", "small").out.splitlines()[0] == first.out.rstrip()
    assert call("report", "small/test").code == 0
    page = Path(call("report", "small").out.splitlines()[0]).read_text()
    assert "Test part, opened once: test_accuracy" in page
    assert call("reproduce", "small/test", "--trial", "1").code == 0
    assert "no study file can ask" in call("config", "small/test", "--trial", "1").err
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    run_ = client.get_run(str(store.study("small").mlflow_run_id))
    assert run_.data.metrics["test_openings"] == 1
    shown = store.study("small").openings[0].result
    assert shown is not None
    assert run_.data.metrics["test_value"] == shown.value
    assert "The test part was opened once" in run_.data.tags["mlflow.note.content"]


def test_again(store: Store, call: Call) -> None:
    """``--again`` opens it again, and both are told from then on, whatever is deleted."""
    asked = ("test", "small", "--seeds", "2", "--workers", "1", "--no-tracking")
    assert call(*asked).code == 0
    assert call(*asked, "--again").code == 0
    assert call("delete", "small/test", "--yes", "--no-tracking").code == 0
    lines = call("best", "small").out.splitlines()
    assert lines[0].startswith("test part, opened 2 times: test_accuracy")
    assert lines[1].startswith("the last time: test_accuracy")
    assert [one["study"] for one in call("best", "small", "--json").json["test"]] == [
        "small/test",
        "small/test-2",
    ]


def test_one_that_was_cut_short_goes_on(store: Store, home: Path, call: Call) -> None:
    """An opening counts from its beginning, and is finished as it was begun."""
    record = store.study("small")
    begun = to_test(store, record, seeds=3, opening=1)
    openings.enter(store.database, record, begun.name)
    openings.enter(store.database, record, begun.name)  # another did the same at the same time
    assert "begun on" in call("best", "small").out.splitlines()[0]
    run(home, begun).database.engine.dispose()
    confirmed(store, home)  # what is chosen from now on may be another
    asked = ("test", "small", "--seeds", "2", "--workers", "1", "--no-tracking", "--json")
    (shown,) = call(*asked).json
    assert shown["result"]["seeds"] == 3
    assert len(store.study("small").openings) == 1


def test_a_deleted_opening_is_one(store: Store, home: Path, call: Call) -> None:
    """Whoever deletes what an opening was about to show has opened the test part all the same."""
    record = store.study("small")
    begun = to_test(store, record, seeds=2, opening=1)
    openings.enter(store.database, record, begun.name)
    run(home, begun).database.engine.dispose()
    assert call("delete", "small/test", "--yes", "--no-tracking").code == 0
    refused = call("test", "small")
    assert refused.code == 2
    assert "opened once: no value of trial" in refused.out
    assert ": it was deleted (" in refused.out
    gone = call("delete", "small", "--yes", "--no-tracking")
    assert "the test part of 'small' has been opened; a new study" in gone.err


def test_the_first_result_stays(store: Store) -> None:
    """An opening's result is entered once."""
    record = store.study("small")
    openings.enter(store.database, record, "small/test")
    for value in (0.5, 0.7):
        openings.close(store.database, record, "small/test", replace(SHOWN, value=value))
    (one,) = store.study("small").openings
    assert one.result == SHOWN


def test_the_confirmed_winner_is_opened(store: Store, home: Path) -> None:
    """The configuration is the confirmed one, and without a confirmation the best trial's."""
    record = store.study("small")
    best = store.best(record)
    given = to_test(store, record, seeds=2, opening=1).given
    assert best is not None
    assert given is not None
    assert [one.trial for one in given.configurations] == [best.number, None]
    confirmed(store, home, seeds=2)
    from hpsearch.trust.confirming import confirmation

    found = confirmation(store, record)
    given = to_test(store, record, seeds=2, opening=1).given
    assert found is not None
    assert given is not None
    assert given.configurations[0].trial == found.winner.trial


@pytest.mark.parametrize("patience", [None, 2])
def test_a_training_on_all_but_the_test_part(tmp_path: Path, patience: int | None) -> None:
    """It is one row, what the weights score on the test part; patience keeps its own part."""
    changes = {} if patience is None else {"training__patience": patience}
    searched = study(**changes)
    table = searched.definition()
    values = {"training.lr": 0.5, "network.dropout": 0.0}
    table |= {"name": "small/test", "search": {"sampler": "given", "metric": "test_accuracy"}}
    table["given"] = {
        "study": "small",
        "part": "test",
        "configurations": [{"values": values}],
        "seeds": [7],
    }
    opened = study_file.parse(table)
    training = make.trainer(opened, tmp_path, tmp_path).train(opened.resolve(values, 7))
    (row,) = training
    assert training.metrics == opened.metrics == ("test_loss", "test_accuracy")
    parts = split(load("digits"), train=60, validation=30, seed=0)
    right = training.outcomes("test_accuracy")
    losses = training.outcomes("test_loss")
    assert right is not None
    assert losses is not None
    assert len(right) == len(parts.test.y)
    assert row[1] == pytest.approx(right.mean())
    assert row[0] == pytest.approx(losses.mean(dtype=np.float64), rel=1e-5)
    alone = make.trainer(searched, tmp_path, tmp_path).train(searched.resolve(values, 7))
    list(alone)
    assert (alone.sha256 == training.sha256) is (patience is not None)


def test_an_interrupted_training_has_no_row(tmp_path: Path) -> None:
    """Nothing is scored on the test part before the last epoch."""
    table = study().definition()
    values = {"training.lr": 0.5, "network.dropout": 0.0}
    table |= {"name": "small/test", "search": {"sampler": "given", "metric": "test_loss"}}
    table["given"] = {"study": "small", "part": "test", "seeds": [7]}
    table["given"]["configurations"] = [{"values": values}]
    opened = study_file.parse(table)
    trainer = make.trainer(opened, tmp_path, tmp_path)
    assert list(trainer.train(opened.resolve(values, 7), 0, lambda: True)) == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (study(data__test=0).definition(), "has no test part: its study file says data.test = 0"),
        (
            {
                "name": "own",
                "objective": {"function": "a:b", "metrics": ["val_loss"]},
                "params": {"x": {"low": 0.0, "high": 1.0}},
            },
            "its data is its own affair, and hpsearch has set no test part aside",
        ),
    ],
    ids=["test = 0", "own"],
)
def test_no_test_part(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    """Where none was set aside, that is said."""
    opened = Store(Database(f"sqlite:///{tmp_path / 'studies.db'}"))
    record = opened.register(study_file.parse(table), {})
    with pytest.raises(UsageError, match=said):
        to_test(opened, record, seeds=2, opening=1)
    opened.database.engine.dispose()


def test_a_study_without_a_test_part_runs(tmp_path: Path) -> None:
    """``test = 0`` leaves all examples to the other two."""
    opened = run(tmp_path, study(data__train=1767, data__validation=30, data__test=0))
    assert opened.counts(opened.study("small").id).complete == 6
    assert opened.study("small").data_facts["sizes"]["test"] == 0
    opened.database.engine.dispose()


@pytest.mark.parametrize(
    "text", ["3", '[{"study": 1}]', '[{"study": "a", "opened": -1.0, "result": null}]', "[["]
)
def test_what_is_no_opening_is_said(store: Store, home: Path, text: str) -> None:
    """Another program's edit is one line, with its place."""
    store.database.engine.dispose()
    with closing(sqlite3.connect(home / "studies.db")) as connection:
        connection.execute("UPDATE hpsearch_studies SET openings = ?", (text,))
        connection.commit()
    with pytest.raises(StoreError, match=r"openings: .* is no list of openings"):
        store.study("small")
