"""A copy is put back only if it is a store of ours in schema and content, whoever made it."""

from __future__ import annotations

import gzip
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpsearch.errors import HpsearchError, StoppedError, StoreOpenError, UsageError
from hpsearch.ledger import backup as backups
from hpsearch.ledger import tables
from hpsearch.ledger.backup import backup, restore
from hpsearch.ledger.database import Database
from hpsearch.ledger.sound import Content
from tests.hpsearch.ledger.test_backup import Used, trials
from tests.hpsearch.ledger.test_older_store import FILE as OLDER

ENDLESS = "AS WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t"
TRIALS = "hpsearch_trials"


@pytest.fixture
def used(tmp_path: Path) -> Iterator[Used]:
    """A store with five trials."""
    made = Used(tmp_path / "store")
    made.run(5)
    yield made
    made.close()


@pytest.fixture
def copy(used: Used, tmp_path: Path) -> Path:
    """A copy of five trials; the store has gone on to eight."""
    file = tmp_path / "copy.db"
    backup(used.database, file)
    used.run(3)
    return file


def edit(file: Path, *statements: str) -> None:
    """Write to a database as another program may."""
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def remade(file: Path, table: str, old: str, new: str) -> None:
    """Make a table as it was, but for a word of its definition."""
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT sql FROM sqlite_master WHERE name = ?"
        (sql,) = connection.execute(query, (table,)).fetchone()
    assert old in sql
    changed = sql.replace(old, new, 1).replace(table, "other", 1)
    edit(
        file,
        changed,
        f"INSERT INTO other SELECT * FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE other RENAME TO {table}",
    )


def refused(used: Used, file: Path, match: str) -> None:
    """It is bad input of one line that names the file, and nothing was changed."""
    before = sorted(path.name for path in used.file.parent.iterdir())
    with pytest.raises(UsageError, match=match) as raised:
        restore(used.url, file, force=True)
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)
    assert trials(used.file) == 8
    assert before == sorted(path.name for path in used.file.parent.iterdir())


# -- schema


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (
            [
                f"CREATE TRIGGER sly AFTER INSERT ON {TRIALS} "
                f"BEGIN DELETE FROM {TRIALS} WHERE number = 0; END"
            ],
            "trigger 'sly'",
        ),
        ([f"CREATE VIEW sly {ENDLESS}"], "view 'sly'"),
        (["DROP TABLE hpsearch_version", f"CREATE VIEW hpsearch_version {ENDLESS}"], "view"),
        ([f"DROP TABLE {TRIALS}", f"CREATE VIEW {TRIALS} {ENDLESS}"], "view"),
        ([f"CREATE VIEW trials {ENDLESS}"], "view 'trials'"),
        (["CREATE TABLE precious (x)"], "table 'precious'"),
        (["CREATE VIRTUAL TABLE hpsearch_words USING rtree(id, low, high)"], "table"),
        (["DROP TABLE hpsearch_logs"], "hpsearch_logs"),
        (["DROP TABLE hpsearch_logs", "CREATE VIRTUAL TABLE hpsearch_logs USING rtree(a, b, c)"],
         "table"),
        ([f"ALTER TABLE {TRIALS} ADD COLUMN more TEXT"], TRIALS),
        ([f"ALTER TABLE {TRIALS} RENAME COLUMN reason TO why"], TRIALS),
        ([f"ALTER TABLE {TRIALS} ADD COLUMN more TEXT GENERATED ALWAYS AS (owner)"], TRIALS),
    ],
)  # fmt: skip
def test_schema_that_is_not_ours_is_refused(
    used: Used, copy: Path, statements: list[str], named: str
) -> None:
    """A trigger, a view, or a table that is not as ours are: none of it is asked anything."""
    edit(copy, *statements)
    refused(used, copy, named)


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        (TRIALS, "KEY (study_id, number)", "KEY (study_id, number) ON CONFLICT IGNORE"),
        (TRIALS, "hpsearch_studies (id)", "hpsearch_studies (id) ON DELETE CASCADE"),
        (TRIALS, "state VARCHAR(8) NOT NULL", "state INTEGER NOT NULL"),
        (TRIALS, "state VARCHAR(8) NOT NULL", "state VARCHAR(8)"),
    ],
)  # fmt: skip
def test_table_that_behaves_otherwise_is_refused(
    used: Used, copy: Path, table: str, old: str, new: str
) -> None:
    """A table of our name that drops or deletes rows by itself, or takes others, is not ours."""
    remade(copy, table, old, new)
    refused(used, copy, table)


def test_optunas_tables_are_fine(used: Used, copy: Path, tmp_path: Path) -> None:
    """Studies in Optuna's own storage come back with ours, and so do SQLite's statistics."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{copy}")
    theirs = optuna.create_study(study_name="theirs", storage=storage)
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    storage.engine.dispose()
    edit(copy, "ANALYZE")
    restore(used.url, copy, force=True)
    found = optuna.load_study(study_name="theirs", storage=f"sqlite:///{used.file}")
    assert len(found.trials) == 2
    assert trials(used.file) == 5


# -- revision


@pytest.mark.parametrize("found", ["0000", "", "0002x", "\x1b[2J", "9999", "other"])
def test_unknown_revision_is_refused(used: Used, copy: Path, found: str) -> None:
    """Tables of no version that there ever was are not put in place of those that work."""
    edit(copy, f"UPDATE hpsearch_version SET version_num = '{found}'")
    refused(used, copy, "version|newer")


def test_several_revisions_are_refused(used: Used, copy: Path) -> None:
    """A store has one version."""
    edit(copy, "INSERT INTO hpsearch_version VALUES ('0001')")
    refused(used, copy, "version")


@pytest.mark.parametrize("found", ["0000", "", "v99.0.0.a"])
def test_unknown_revision_of_optunas_tables_is_refused(used: Used, copy: Path, found: str) -> None:
    """Optuna would not open them, and no `sync` could mend that."""
    optuna.create_study(study_name="theirs", storage=f"sqlite:///{copy}")
    edit(copy, f"UPDATE alembic_version SET version_num = '{found}'")
    refused(used, copy, "version of Optuna's tables")


def test_older_revision_of_optunas_tables_is_restored(used: Used, copy: Path) -> None:
    """Optuna itself says how they are brought up to date."""
    optuna.create_study(study_name="theirs", storage=f"sqlite:///{copy}")
    edit(copy, "UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    restore(used.url, copy, force=True)


def test_store_of_no_known_revision_is_one_line(used: Used) -> None:
    """A store that was given such a version is not opened either."""
    edit(used.file, "UPDATE hpsearch_version SET version_num = '0000'")
    with pytest.raises(StoreOpenError, match="'0000'"):
        Database(used.url)


def test_older_copy_is_restored_and_brought_up_to_date(used: Used, tmp_path: Path) -> None:
    """What an older version wrote has this one's tables once it is in place."""
    older = tmp_path / "older.db"
    older.write_bytes(gzip.decompress(OLDER.read_bytes()))
    content, _ = restore(used.url, older, force=True)
    assert (2, trials(used.file)) == (content.studies, content.trials)
    with closing(sqlite3.connect(used.file)) as connection:
        found = connection.execute("SELECT version_num FROM hpsearch_version").fetchall()
    assert found == [(tables.REVISION,)]


def test_revisions_are_those_of_the_migrations() -> None:
    """The versions that are known are those which a migration makes."""
    folder = Path(tables.__file__).parent / "migrations" / "versions"
    assert list(tables.REVISIONS) == sorted(path.name[:4] for path in folder.glob("[0-9]*.py"))


# -- rows


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE hpsearch_studies SET definition = '{}'",
        "UPDATE hpsearch_studies SET budget = -1",
        "UPDATE hpsearch_studies SET name = x'ff'",
        f"UPDATE {TRIALS} SET params = '[' WHERE number = 3",
        f"UPDATE {TRIALS} SET started = 'yesterday' WHERE number = 3",
        f"UPDATE {TRIALS} SET owner = x'00' WHERE number = 3",
        f"UPDATE {TRIALS} SET study_id = 99 WHERE number = 3",
        f"UPDATE {TRIALS} SET environment = 'none' WHERE number = 3",
        "UPDATE hpsearch_curves SET epochs = 'text' WHERE number = 3",
        "UPDATE hpsearch_curves SET steps = x'00' WHERE number = 3",
        "UPDATE hpsearch_curves SET outcomes = x'00' WHERE number = 3",
        "DELETE FROM hpsearch_curves WHERE number = 3",
        "INSERT INTO hpsearch_environments VALUES ('d', 'no JSON')",
        "INSERT INTO hpsearch_logs VALUES (1, 77, x'00')",
    ],
)
def test_every_row_is_read_before_anything_is_replaced(
    used: Used, copy: Path, statement: str
) -> None:
    """A row that is no record of ours is told with its table, and its study and trial."""
    edit(copy, statement)
    refused(used, copy, "hpsearch_(studies|trials|curves|environments|logs)")


# -- interrupted


def test_interrupted_anywhere_it_changes_nothing(
    used: Used, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is stopped, the store is as it was, and nothing lies beside it."""
    monkeypatch.setattr(backups, "_STEP", 8)
    before = sorted(path.name for path in used.file.parent.iterdir())
    looked = 0
    while True:
        left = looked

        def stop() -> bool:
            nonlocal left
            left -= 1
            return left < 0

        try:
            restore(used.url, copy, force=True, stop=stop)
        except StoppedError:
            assert trials(used.file) == 8
            assert before == sorted(path.name for path in used.file.parent.iterdir())
            looked += 1
            continue
        break
    assert looked > 20
    assert trials(used.file) == 5


def test_failed_replacement_brings_a_damaged_store_back(
    used: Used, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torn store that could not be replaced is where it was."""
    used.close()
    used.file.write_bytes(b"no database")
    monkeypatch.setattr(backups, "_put", _fails)
    with pytest.raises(HpsearchError, match="full"):
        restore(used.url, copy, force=True)
    assert used.file.read_bytes() == b"no database"
    assert [p.name for p in used.file.parent.iterdir() if p.is_file()] == ["studies.db"]


def test_old_store_is_kept_if_it_may_be_replaced(
    used: Used, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes at the last moment, as Ctrl-C may, never costs the copy of the old store."""
    put = backups._put

    def late(*arguments: Any) -> None:
        put(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(backups, "_put", late)
    with pytest.raises(KeyboardInterrupt):
        restore(used.url, copy, force=True)
    (kept,) = used.file.parent.glob("*.replaced-*")
    assert (trials(used.file), trials(kept)) == (5, 8)


def _fails(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_waiting_restore_ends_when_asked(
    used: Used, copy: Path, tmp_path: Path, number: int, code: int
) -> None:
    """One that waits for another's lock is ended by a signal, and has changed nothing."""
    home = used.file.parent
    with closing(sqlite3.connect(copy, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ran = subprocess.Popen(
            [sys.executable, "-m", "hpsearch", "restore", str(copy), "--force"],
            env={"HPSEARCH_HOME": str(home), "PATH": ""},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while not list(home.glob(".*restore*")):
                assert ran.poll() is None
                time.sleep(0.01)
            ran.send_signal(number)
            _, said = ran.communicate(timeout=20)
        finally:
            ran.kill()
            ran.wait()
    assert code == ran.returncode
    assert [line.split("; ")[-1] for line in said.splitlines()] == ["nothing was changed"]
    assert trials(used.file) == 8
    assert list(home.glob(".*restore*")) == []


# -- what is replaced


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE hpsearch_version", f"CREATE VIEW hpsearch_version {ENDLESS}"],
        [
            "DROP TABLE hpsearch_logs",
            "DROP TABLE hpsearch_curves",
            f"DROP TABLE {TRIALS}",
            f"CREATE VIEW {TRIALS} {ENDLESS}",
        ],
        [f"ALTER TABLE {TRIALS} RENAME COLUMN owner TO who"],
    ],
)
def test_store_that_was_tampered_with_is_replaced(
    used: Used, copy: Path, statements: list[str]
) -> None:
    """What stands in place is looked at as warily: it neither hangs the cure nor forbids it."""
    edit(used.file, *statements)
    with pytest.raises(UsageError, match="--force"):
        restore(used.url, copy)
    _, kept = restore(used.url, copy, force=True)
    assert kept is not None
    assert trials(used.file) == 5


def test_content_in_words() -> None:
    """One study is not called studies."""
    assert str(Content(1, 3)) == "1 study with 3 trials"
    assert str(Content(2, 4)) == "2 studies with 4 trials"
