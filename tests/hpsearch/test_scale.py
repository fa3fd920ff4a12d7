"""What is asked again and again costs no more in a long study: counted, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage

from hpsearch.commands import printing
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Curve, Result, State, StudyRecord, Trial, curve, encode
from hpsearch.ledger.store import Store
from hpsearch.ledger.tables import curves, studies, trials
from hpsearch.projections.optuna_copy import OptunaCopy
from hpsearch.search.history import WINDOW, History
from hpsearch.search.pruning import Pruning
from hpsearch.search.suggest import suggest
from hpsearch.work.worker import Worker
from tests.conftest import study

SHORT, LONG = 200, 2000
RESULT = Result(State.COMPLETE, 0.5, {}, curve([[0.1, 0.2, 0.3, 0.5]]), "ab")


def filled(database: Database, name: str, length: int) -> StudyRecord:
    """A study with so many finished trials, all of them projected."""
    long = study(name=name, search__trials=10**5, search__sampler="tpe")
    record = Store(database).register(long, {"dataset": "d"})
    rows, ended = [], []
    for number in range(length):
        row: dict[str, Any] = {"study_id": record.id, "number": number}
        marks = {"in_optuna": True, "in_mlflow": True, "started": 1.0, "ended": 2.0}
        values = {"state": State.COMPLETE, "value": number * 7 % length / length, "seed": number}
        values["params"] = '{"network.dropout":0.1,"training.lr":0.1}'
        rows.append(row | marks | values)
        ended.append(row | {"epochs": encode(RESULT.curve), "steps": b""})
    with database.write() as connection:
        connection.execute(sa.insert(trials), rows)
        connection.execute(sa.insert(curves), ended)
        one = studies.c.id == record.id
        connection.execute(sa.update(studies).where(one).values(next_number=length))
    return record


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """A store whose steps can be counted."""
    opened = Database(f"sqlite:///{tmp_path / 'studies.db'}")
    yield opened
    opened.engine.dispose()


@pytest.fixture
def steps(sqlite: Database) -> Callable[[Callable[[], object]], int]:
    """Counts the instructions that SQLite carries out, to the nearest ten."""
    done = 0

    def count() -> int:
        nonlocal done
        done += 10
        return 0

    @sa.event.listens_for(sqlite.engine, "connect")
    def connect(driver: Any, _: Any) -> None:
        driver.set_progress_handler(count, 10)

    sqlite.engine.dispose()

    def counted(call: Callable[[], object]) -> int:
        nonlocal done
        done = 0
        call()
        return done

    return counted


def repeated(store: Store, record: StudyRecord, length: int) -> dict[str, Callable[[], object]]:
    """A trial, from its claim to its finish, and the looks of a projector and of ``run``."""
    owner = replace(Owner.of(), host="elsewhere")
    leases = Leases(store.database, record, lag=4, seed=int, owner=owner)
    return {
        "claim": leases.claim,
        "show": lambda: leases.show(length, {"training.lr": 0.1}),
        "renew": lambda: leases.renew(length),
        "finish": lambda: leases.finish(length, RESULT),
        "history": lambda: store.history(record.id, length - 5, length - 4),
        "held": lambda: store.held(record.id),
        "unprojected": lambda: store.unprojected(record.id),
        "not in Optuna's": lambda: store.unprojected(record.id, mlflow=False),
        "best": lambda: store.best(record),
    }


def test_store_does_no_more_for_a_long_study(
    sqlite: Database, steps: Callable[[Callable[[], object]], int]
) -> None:
    """SQLite carries out as many instructions at the 2,000th trial as at the 200th."""
    store = Store(sqlite)
    costs: list[dict[str, int]] = []
    for name, length in (("short", SHORT), ("long", LONG)):
        calls = repeated(store, filled(sqlite, name, length), length)
        costs.append({what: steps(call) for what, call in calls.items()})
    few, many = costs
    grown = {what: (few[what], many[what]) for what in few if many[what] > few[what] + 50}
    assert grown == {}


def test_counting_reads_the_index_alone(sqlite: Database) -> None:
    """All trials have to be counted, but not read."""
    record = filled(sqlite, "long", SHORT)
    plans: list[str] = []

    @sa.event.listens_for(sqlite.engine, "before_cursor_execute")
    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if "hpsearch_trials" in statement:
            found = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(row[3] for row in found)

    assert Store(sqlite).counts(record.id).complete == SHORT
    (plan,) = plans
    assert "COVERING INDEX" in plan


def test_worker_reads_each_trial_once(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history is read as it grows, and in parts where it is long already."""
    record = filled(sqlite, "long", LONG)
    store = Store(sqlite)
    read: list[list[int]] = []
    plain = store.history

    def history(*arguments: int) -> list[tuple[Trial, Curve]]:
        found = plain(*arguments)
        read.append([trial.number for trial, _ in found])
        return found

    monkeypatch.setattr(store, "history", history)
    nothing: Any = None
    worker = Worker(store, record, nothing, Owner.of())
    for number in (LONG - 1, LONG, LONG, LONG + 3):
        worker._at(number)
    assert list(range(LONG)) == [number for part in read for number in part]
    assert max(map(len, read)) <= 500


class Counting(dict[int, Any]):
    """Trials that count how often one is looked at."""

    looks = 0

    def __getitem__(self, number: int) -> Any:
        self.looks += 1
        return super().__getitem__(number)


def test_sampler_looks_at_a_window(sqlite: Database) -> None:
    """However long the history is, a suggestion looks at no more of its trials than that."""
    record = filled(sqlite, "long", LONG)
    history = History(record.study)
    history.add(Store(sqlite).history(record.id, -1, LONG))
    history._trials = counting = Counting(history._trials)
    suggest(record.study, history, LONG + 10)
    assert 0 < counting.looks <= WINDOW


def test_trials_of_a_study_share_what_is_the_same(sqlite: Database) -> None:
    """What a worker keeps of a trial is what sets it apart."""
    record = filled(sqlite, "long", SHORT)
    history = History(record.study)
    history.add(Store(sqlite).history(record.id, -1, SHORT))
    first, *others = history.before(SHORT + 10)
    assert all(other.distributions is first.distributions for other in others)
    for path in first.params:
        assert all(any(path is own for own in other.params) for other in others)


def test_pruner_s_histories_are_filtered_once(sqlite: Database) -> None:
    """At each rung the pruner asks for the COMPLETE trials; they are the same all along."""
    record = filled(sqlite, "long", SHORT)
    pruned = study(name="long", training__epochs=9, search__pruner="median")
    history = History(pruned)
    history.add(Store(sqlite).history(record.id, -1, SHORT))
    pruning = Pruning(pruned, history, SHORT + 10, {"training.lr": 0.1})
    chosen = []
    for epoch in range(1, 9):
        pruning.stops(epoch, 0.5)
        chosen.append(pruning._view._chosen)
    assert len(chosen[0]) == SHORT
    assert all(each is chosen[0] for each in chosen)


def test_reading_optuna_s_copy_holds_nobody_up(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long copy is read for seconds: without the write lock, which each claim waits for."""
    record = filled(sqlite, "long", 3)
    copied = OptunaCopy(Store(sqlite), record)
    assert copied.bring([]) == 3
    begun: list[str] = []
    reads = RDBStorage.get_all_trials

    def read(*arguments: Any, **options: Any) -> Any:
        def see(_: Any, __: Any, statement: str, *___: Any) -> None:
            if statement.startswith("BEGIN"):
                begun.append(statement)

        sa.event.listen(sa.Engine, "before_cursor_execute", see)
        try:
            return reads(*arguments, **options)
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", see)

    monkeypatch.setattr(RDBStorage, "get_all_trials", read)
    copied.forget()
    assert copied.bring([]) == 0
    copied.close()
    assert set(begun) == {"BEGIN"}


def test_table_is_folded_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns that do not fit follow below their row with their names, and nothing is cut."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    head = ["trial", "state", "val_accuracy", "lr", "weight_decay", "momentum", "reason"]
    row = ["7", "COMPLETE", "0.9123456", "0.0001234567", "1.234567e-08", "-", ""]
    printing.table(head, [row, [*row[:-1], "a reason"]])
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "trial   state      val_accuracy",
        "─" * 31,
        "7       COMPLETE   0.9123456",
        "   lr 0.0001234567",
        "   weight_decay 1.234567e-08",
        "7       COMPLETE   0.9123456",
        "   lr 0.0001234567",
        "   weight_decay 1.234567e-08",
        "   reason a reason",
    ]


def test_table_s_lines_have_one_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns stand under each other, wide letters and line ends in reasons notwithstanding."""
    printing.table(["a", "reason"], [["日本", "two\nlines"], ["1", "[x] \a"]])
    assert capsys.readouterr().out.splitlines() == [
        "a      reason",
        "─" * 17,
        "日本   two lines",
        "1      [x] \\u0007",
    ]


def test_claim_of_a_long_study_goes_on_with_its_numbers(database: Database) -> None:
    """The same on both kinds of store: the next number, whatever the indexes."""
    record = filled(database, "long", SHORT)
    leases = Leases(database, record, lag=4, seed=int, owner=Owner.of())
    assert Claim(SHORT, SHORT) == leases.claim()
    best = Store(database).best(record)
    assert best is not None
    assert (best.number, best.value) == (57, 0.995)
