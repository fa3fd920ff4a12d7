"""What is done about each run of a study, held against an MLflow that is a table in memory."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from hpsearch.errors import TrackingError
from hpsearch.ledger.database import Database
from hpsearch.ledger.records import State, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.projections import runs
from hpsearch.projections.mlflow_look import Found, Index
from hpsearch.projections.mlflow_runs import Tracking
from hpsearch.projections.run_content import PARENT, STATE, STATUS, Point, TrialRun
from hpsearch.projections.runs import Runs
from hpsearch.projections.summary import Summary
from hpsearch.settings import Settings
from tests.conftest import study
from tests.hpsearch.trust.test_given_trials import enter

SETTINGS = Settings(Path("/nowhere"), "sqlite:///s", "sqlite:///m")


class Table(Tracking):
    """All runs of a study. What of them is right is judged as everywhere."""

    def __init__(self) -> None:
        self.experiment = "5"
        self.children: dict[str, tuple[int, Found, set[Point]]] = {}
        self.parent: Found | None = None
        self.surplus: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.fails = False
        self.many = 0

    def look(self, known: Collection[str] = (), number: int | None = None) -> Index:
        if self.fails:
            raise ValueError("made up")
        found = {n: run for n, run, _ in self.children.values()}
        return Index(self.parent, {}, found, list(self.surplus))

    def shown(self, found: Found) -> set[Point]:
        return set(self.children[found.run_id][2])

    def write(
        self, wanted: TrialRun, run_id: str | None = None, shown: Collection[Point] = frozenset()
    ) -> str:
        self.many += 1
        run_id = run_id or f"run {self.many}"
        self.said.append(f"write {run_id}")
        last = {k: float(v[-1]) for k, (_, v) in wanted.series.items() if len(v)}
        status, tags = STATUS[wanted.state], dict(wanted.tags)
        params = dict(wanted.params)
        whole = Found(run_id, status, wanted.start, wanted.end, tags, params, last)
        self.children[run_id] = (wanted.number, whole, set(wanted.metrics()))
        return run_id

    def write_parent(self, run_id: str | None, summary: Summary) -> str:
        self.said.append("parent")
        tags = {"mlflow.note.content": summary.note}
        self.parent = Found(run_id or "above", summary.status, 0, summary.end, tags, {}, {})
        return self.parent.run_id

    def write_environment(self, run_id: str, digest: str, content: Any) -> None:
        self.said.append(f"environment {digest}")

    def adopt(self, run_id: str, parent: str) -> None:
        self.said.append(f"adopt {run_id}")
        self.change(run_id, tags={PARENT: parent})

    def delete(self, run_id: str) -> None:
        self.said.append(f"delete {run_id}")
        self.children.pop(run_id, None)
        self.surplus = [each for each in self.surplus if each[0] != run_id]

    def change(self, run_id: str, tags: dict[str, str] | None = None, **changes: Any) -> None:
        """Change a run, as a person does."""
        number, found, points = self.children[run_id]
        found = replace(found, tags={**found.tags, **(tags or {})}, **changes)
        self.children[run_id] = (number, found, points)

    def run(self, number: int) -> str:
        """The id of a trial's one run."""
        (run_id,) = [run_id for run_id, (n, *_) in self.children.items() if n == number]
        return run_id


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """An empty ledger."""
    database = Database(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'studies.db')}")
    yield Store(database)
    database.engine.dispose()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """The MLflow that all here write to."""
    made = Table()
    monkeypatch.setattr(runs, "Tracking", lambda _, content: _with(made, content))
    return made


def _with(table: Table, content: Any) -> Table:
    table._content = content
    return table


def brought(store: Store, record: StudyRecord, again: Runs | None = None) -> Any:
    """What a projector writes that has just started, or that has looked before."""
    its = again or Runs(store, record, SETTINGS, None)
    return its.bring(store.unprojected(record.id), ending=True)


@pytest.fixture
def record(store: Store, table: Table) -> StudyRecord:
    """A study of three trials, all of which are in MLflow."""
    made = enter(store, study(search__trials=3), [0.5, "diverged", "failed"])
    told = brought(store, made)
    assert (told.mlflow, told.removed) == (3, [])
    table.said.clear()
    return made


def in_mlflow(store: Store, record: StudyRecord) -> list[tuple[str | None, bool]]:
    """The marks of all trials."""
    return [(trial.mlflow_run_id, trial.in_mlflow) for trial in store.trials(record.id)]


def test_nothing_is_written_twice(store: Store, record: StudyRecord, table: Table) -> None:
    """Each trial has its run below the study's and its mark; looked at again, nothing is done."""
    assert in_mlflow(store, record) == [(table.run(n), True) for n in range(3)]
    assert {run.tags[PARENT] for _, run, _ in table.children.values()} == {"above"}
    assert not brought(store, record)
    assert table.said == []


def test_what_is_no_trials_goes(store: Store, record: StudyRecord, table: Table) -> None:
    """A run that is one too many, and one of a trial that is not there; each is told."""
    first = table.children[table.run(0)]
    table.children["orphan"] = (7, replace(first[1], run_id="orphan"), first[2])
    table.surplus.append(("second", "a second run of trial 1"))
    told = brought(store, record)
    assert told.removed == [
        "run second deleted: a second run of trial 1",
        "run orphan deleted: there is no trial 7",
    ]
    assert table.said == ["delete second", "delete orphan"]
    assert not brought(store, record)


@pytest.mark.parametrize(
    "damage", [{"metrics": {}}, {"end": 1}, {"params": {}}, {"tags": {"hpsearch.seed": "9"}}]
)
def test_one_that_claims_to_be_whole(
    store: Store, record: StudyRecord, table: Table, damage: dict[str, Any]
) -> None:
    """And is not is deleted, and made anew."""
    old = table.run(0)
    table.change(old, **damage)
    told = brought(store, record)
    assert told.removed == [f"run {old} deleted: it does not agree with trial 0"]
    assert told.mlflow == 1
    assert in_mlflow(store, record)[0] == (table.run(0), True)
    assert table.run(0) != old
    assert not brought(store, record)


def test_one_that_was_cut_short(store: Store, record: StudyRecord, table: Table) -> None:
    """It is written on where it stands, unless it shows what the trial has not."""
    old = table.run(1)
    for odd in (False, True):
        table.change(old, status="RUNNING", tags={STATE: "RUNNING"})
        if odd:
            table.children[old][2].add(("val_loss", 99, 0, "0x1p+0"))
        table.said.clear()
        told = brought(store, record)
        assert told.mlflow == 1
        assert told.removed == ([f"run {old} deleted: trial 1 was run again"] if odd else [])
        assert (table.run(1) == old) is not odd
        assert in_mlflow(store, record)[1] == (table.run(1), True)


def test_one_that_stands_elsewhere(store: Store, record: StudyRecord, table: Table) -> None:
    """It is put below the study's own again, and stays the same run."""
    table.change(table.run(2), tags={PARENT: "another"})
    told = brought(store, record)
    assert table.said == [f"adopt {table.run(2)}"]
    assert (told.other, told.mlflow, told.removed) == (1, 0, [])


def test_marks_are_set_right(store: Store, record: StudyRecord, table: Table) -> None:
    """One that names another run, or that is not there."""
    store.mark_mlflow(record.id, 0, "another", True)
    store.mark_mlflow(record.id, 1, table.run(1), False)
    told = brought(store, record)
    assert (told.other, told.mlflow) == (2, 0)
    assert in_mlflow(store, record) == [(table.run(n), True) for n in range(3)]


def test_the_studys_own_run(store: Store, record: StudyRecord, table: Table) -> None:
    """One that says something else is written again, and one that is gone is made anew."""
    assert table.parent is not None
    table.parent = replace(table.parent, tags={"mlflow.note.content": "all is well"})
    assert brought(store, record).other == 1
    assert table.said == ["parent"]
    assert "3 of 3 trials finished" in table.parent.tags["mlflow.note.content"]
    table.parent = None
    brought(store, record)
    assert table.parent is not None


def test_a_retried_trial(store: Store, record: StudyRecord, table: Table) -> None:
    """The run of the attempt that failed is replaced by that of the one that did not."""
    its = Runs(store, record, SETTINGS, None)
    brought(store, record, its)
    old = table.run(2)
    store.mark_mlflow(record.id, 2, old, False)
    table.said.clear()
    told = brought(store, record, its)
    assert told.removed == [f"run {old} deleted: trial 2 was run again"]
    assert table.run(2) != old


def test_every_write_asks_whether_another_writes(
    store: Store, record: StudyRecord, table: Table
) -> None:
    """And none is made where that may be."""
    table.surplus.append(("second", "a second run of trial 1"))
    table.change(table.run(2), tags={PARENT: "another"})
    asked: list[int] = []

    def alone() -> None:
        asked.append(len(table.said))

    its = Runs(store, record, SETTINGS, None)
    its.bring([], alone, ending=True)
    assert set(range(len(table.said))) <= set(asked)

    def taken() -> None:
        raise TrackingError("another writes")

    table.surplus.append(("third", "a third run of trial 1"))
    table.said.clear()
    its.forget()
    with pytest.raises(TrackingError, match="another writes"):
        its.bring([], taken, ending=True)
    assert table.said == []


def test_after_a_failure_all_is_looked_at(store: Store, record: StudyRecord, table: Table) -> None:
    """What was seen before may be no longer so; the failure is told in a line."""
    its = Runs(store, record, SETTINGS, None)
    brought(store, record, its)
    its.forget()
    table.fails = True
    with pytest.raises(TrackingError, match=r"^MLflow: ValueError: made up$"):
        brought(store, record, its)
    table.fails = False
    table.delete(table.run(0))
    assert brought(store, record, its).mlflow == 1


def test_commits_are_read_once(store: Store, record: StudyRecord) -> None:
    """A commit is the environment's, where it names one; a trial without has none."""
    its: Any = Runs(store, record, SETTINGS, None)
    asked: list[str] = []

    class Environments:
        def environment(self, digest: str) -> dict[str, str]:
            asked.append(digest)
            return {"commit": "c"} if digest == "e" else {}

    its._store = cast("Store", Environments())
    trial = store.trial(record.id, 0)
    told: Sequence[str | None] = ("e", "e", "f", None)
    assert [its._commit(replace(trial, environment=e)) for e in told] == ["c", "c", None, None]
    assert asked == ["e", "f"]
    assert trial.state is State.COMPLETE
