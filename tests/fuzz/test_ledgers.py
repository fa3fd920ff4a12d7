"""A store that something else has written to: rows of any content, and files of any bytes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.ledger import tables
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import StudyRecord, digest
from hpsearch.ledger.store import Store
from hpsearch.report import views
from hpsearch.search.history import History
from hpsearch.settings import Settings
from hpsearch.trust.estimate import correction
from hpsearch.verify import findings, ledger_reading, look
from tests.conftest import study
from tests.fuzz.bounds import answer, bounded, examples
from tests.fuzz.values import changed
from tests.hpsearch.ledger.test_edited import whole as whole

JSON = ("definition", "metrics", "data_digests", "reproduced", "params", "rungs", "content")
COLUMNS = [(table, column.name) for table in tables.metadata.tables.values() for column in table.c]
CONTENTS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-2, 5),
    st.floats(),
    st.floats(0.0, 2e9),
    st.text(max_size=9),
    st.binary(max_size=40),
    st.lists(st.floats(), max_size=8).map(lambda floats: np.array(floats, "<f8").tobytes()),
    st.sampled_from(["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING", "{}", "[]", "e" * 64]),
)


def copy_of(whole: Path) -> Path:
    """The same beside it, to be changed."""
    file = whole.with_name("fuzz.db")
    for leftover in whole.parent.glob("fuzz.db*"):
        leftover.unlink()
    shutil.copy(whole, file)
    return file


def look_at_all(file: Path) -> list[bool]:
    """Whatever asks a store: whether each gets an answer, and is not refused in one line."""
    database = answer(lambda: Database(f"sqlite:///{file}"))
    if database is None:
        return [False]
    answered = []
    store = Store(database)
    places = Settings(file.parent, f"sqlite:///{file}", "sqlite://")
    answered.append(answer(lambda: store.study("small")) is not None)
    for record in answer(store.studies) or []:
        asked: list[Callable[[StudyRecord], Any]] = [
            lambda r: views.dumps(views.status(r.name, store.counts(r.id))),
            lambda r: [views.dumps(views.trial(t)) for t in store.trials(r.id)],
            lambda r: store.best(r),
            lambda r: [
                store.environment(t.environment) for t in store.trials(r.id) if t.environment
            ],
            lambda r: store.steps(r.id),
            lambda r: store.outcomes(r.id),
            lambda r: store.log(r.id, 0),
            lambda r: store.ended(r.id),
            lambda r: store.unprojected(r.id),
            lambda r: store.held(r.id),
            lambda r: digest(store.finished(r.id), store.steps(r.id)),
            lambda r: History(r.study).add(store.history(r.id, -1, 10)),
            lambda r: correction(store, r),
            lambda r: Leases(database, r, lag=2, seed=int, owner=Owner.of()).claim(),
            lambda r: store.retry(r.id),
            lambda r: store.register(study(), {"dataset": "d"}),
        ]
        for ask in asked:
            given = answer(lambda: (ask(record),))  # noqa: B023 (it is called at once)
            answered.append(given is not None)
    answered.append(answer(lambda: ledger_reading.read(database, "small")) is not None)
    found = answer(
        lambda: findings.judge(
            look.take(database, "small", places, tracking=False), tracking=False, copies=False
        )
    )
    database.engine.dispose()
    return [*answered, found is not None]


def test_whole_store_answers(whole: Path) -> None:
    """What is changed here is all right as it is."""
    assert all(look_at_all(copy_of(whole)))


@examples(12)
@given(data=st.data())
def test_any_rows(whole: Path, data: st.DataObject) -> None:
    """Columns of anything, alone and together."""
    file = copy_of(whole)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for _ in range(data.draw(st.integers(1, 3))):
            table, column = data.draw(st.sampled_from(COLUMNS))
            rows = connection.execute(f"SELECT rowid, {column} FROM {table.name}").fetchall()
            if not rows:
                continue
            row, before = data.draw(st.sampled_from(rows))
            content = data.draw(CONTENTS)
            if column in JSON and before is not None and data.draw(st.booleans()):
                try:
                    content = json.dumps(data.draw(changed(json.loads(before))), default=str)
                except (TypeError, ValueError):
                    continue
            try:
                connection.execute(
                    f"UPDATE {table.name} SET {column} = ? WHERE rowid = ?", (content, row)
                )
            except (sqlite3.IntegrityError, UnicodeEncodeError):  # it cannot get in
                continue
        connection.commit()
    look_at_all(file)


@examples(30)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 2**20), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
    ),
    end=st.none() | st.integers(0, 2**17),
)
def test_any_bytes(whole: Path, edits: list[tuple[int, bytes]], end: int | None) -> None:
    """A file that a disk has damaged, or that was copied in part."""
    file = copy_of(whole)
    content = bytearray(file.read_bytes())
    for at, instead in edits:
        at %= len(content)
        content[at : at + len(instead)] = instead
    file.write_bytes(content if end is None else content[:end])
    with bounded():
        look_at_all(file)
