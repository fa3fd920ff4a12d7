"""The study store is copied while it is in use, and what was copied goes on to the same end."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import hpsearch
from hpsearch import settings
from hpsearch.errors import StoreError, StoreOpenError, UsageError
from hpsearch.ledger.backup import backup, restore
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, curve, digest
from hpsearch.ledger.store import Store
from hpsearch.verify import findings, look
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

RESULT = Result(State.COMPLETE, 0.5, {}, curve([(1.0, 0.1, 1.0, 0.5)]), "0" * 64)


class Used:
    """A store with a study, and a worker that enters trials."""

    def __init__(self, folder: Path, name: str = "small") -> None:
        self.url = f"sqlite:///{folder / 'studies.db'}"
        self.file = folder / "studies.db"
        self.database = Database(self.url)
        self.store = Store(self.database)
        self.record = self.store.register(study(name=name, search__trials=10_000), {"dataset": "d"})
        self.leases = Leases(
            self.database,
            self.record,
            lag=None,
            seed=lambda number: number,
            owner=replace(Owner.of(), host="elsewhere"),
        )

    def run(self, trials: int) -> None:
        """Begin and end so many."""
        for _ in range(trials):
            claim = self.leases.claim()
            self.leases.finish(claim.number, RESULT)  # type: ignore[union-attr]

    def close(self) -> None:
        """Let go of the file."""
        self.database.engine.dispose()


@pytest.fixture
def used(tmp_path: Path) -> Iterator[Used]:
    """A store with five trials."""
    made = Used(tmp_path / "store")
    made.run(5)
    yield made
    made.close()


def names(file: Path) -> list[str]:
    """The studies in a store."""
    with closing(sqlite3.connect(file)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM hpsearch_studies")]


def trials(file: Path) -> int:
    """How many trials are in a store."""
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM hpsearch_trials").fetchone()[0])


# -- backup


def test_copy_is_one_whole_file(used: Used, tmp_path: Path) -> None:
    """It holds everything, needs no file beside it, and is a store by itself."""
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    content = backup(used.database, target)
    assert str(content) == "1 study with 5 trials"
    assert [target] == list(target.parent.iterdir())
    copy = Store(Database(f"sqlite:///{target}", create=False))
    assert used.store.trials(1) == copy.trials(1)


def test_copies_while_in_use_are_of_one_state(used: Used, tmp_path: Path) -> None:
    """Each copy that is made while trials are entered has a curve for every finished trial."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            used.run(1)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        seen = []
        for index in range(20):
            copy = tmp_path / f"{index}.db"
            seen.append(backup(used.database, copy).trials)
            with closing(sqlite3.connect(copy)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                query = "SELECT count(*) FROM {} WHERE number >= 0"
                ended = connection.execute(query.format("hpsearch_trials") + " AND ended > 0")
                curves = connection.execute(query.format("hpsearch_curves"))
                assert ended.fetchone() == curves.fetchone()
    finally:
        stop.set()
        worker.join(20)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]


def test_nothing_is_replaced_unasked(used: Used, tmp_path: Path) -> None:
    """A file that is there stays, unless it is said otherwise; the store itself always does."""
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(UsageError, match="already exists"):
        backup(used.database, target)
    assert target.read_text() == "precious"
    backup(used.database, target, force=True)
    assert names(target) == ["small"]
    with pytest.raises(UsageError, match="is the study store itself"):
        backup(used.database, used.file, force=True)
    with pytest.raises(UsageError, match="folder"):
        backup(used.database, tmp_path / "nowhere" / "copy.db")


@pytest.mark.parametrize("kind", ["fifo", "socket", "link", "dangling link", "device"])
def test_only_a_regular_file_is_replaced(used: Used, tmp_path: Path, kind: str) -> None:
    """A pipe, a device or a link is left as it is, by force or without."""
    target, other = tmp_path / "copy.db", tmp_path / "other"
    if kind == "fifo":
        os.mkfifo(target)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(target))
    elif kind == "device":
        try:
            os.mknod(target, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("needs the right to make a device")
    else:
        target.symlink_to(other)
        if kind == "link":
            other.write_text("precious")
    before = target.lstat()
    for force in (False, True):
        with pytest.raises(UsageError, match="is not a regular file"):
            backup(used.database, target, force=force)
    assert target.lstat() == before
    if kind == "link":
        assert other.read_text() == "precious"


def test_store_that_is_no_regular_file_is_not_replaced(copy: Path, tmp_path: Path) -> None:
    """Nothing waits for a pipe that stands where the store should be."""
    os.mkfifo(tmp_path / "pipe.db")
    with pytest.raises(UsageError, match="is not a regular file"):
        restore(f"sqlite:///{tmp_path / 'pipe.db'}", copy, force=True)


def test_copy_is_for_nobody_else_to_read(used: Used, tmp_path: Path) -> None:
    """It holds what the workspace holds, which is closed to others."""
    backup(used.database, tmp_path / "copy.db")
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


def test_failed_copy_leaves_nothing(used: Used, tmp_path: Path) -> None:
    """A copy that cannot be made is an error, and no half of it is left."""
    target = tmp_path / "copy.db"
    used.close()
    used.file.write_bytes(used.file.read_bytes()[:5000])
    with pytest.raises(StoreError):
        backup(used.database, target)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".copy", "copy"))]


def test_postgresql_has_its_own(fresh_postgres: str, tmp_path: Path) -> None:
    """On PostgreSQL one is told what to use, without the password."""
    url = fresh_postgres.replace("postgres:@", "postgres:secret@")
    database = Database(url)
    with pytest.raises(UsageError, match=r"pg_dump .*--dbname='postgresql://") as error:
        backup(database, tmp_path / "copy.db")
    database.engine.dispose()
    assert "secret" not in str(error.value)
    with pytest.raises(UsageError, match=r"pg_restore .*--dbname='postgresql://"):
        restore(url, tmp_path / "copy.db")


# -- restore


@pytest.fixture
def copy(used: Used, tmp_path: Path) -> Path:
    """A copy of five trials; the store has gone on to eight."""
    file = tmp_path / "copy.db"
    backup(used.database, file)
    used.run(3)
    return file


def test_restored_where_nothing_is(copy: Path, tmp_path: Path) -> None:
    """A new workspace takes it, in WAL mode as stores are."""
    url = f"sqlite:///{tmp_path / 'new' / 'studies.db'}"
    content, kept = restore(url, copy)
    assert (str(content), kept) == ("1 study with 5 trials", None)
    with closing(sqlite3.connect(tmp_path / "new" / "studies.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store = Store(Database(url, create=False))
    assert [trial.number for trial in store.trials(1)] == [0, 1, 2, 3, 4]


def test_store_that_holds_studies_is_kept(used: Used, copy: Path) -> None:
    """It is replaced only with --force, and then is beside the new one, with all it held."""
    with pytest.raises(UsageError, match="holds 1 study with 8 trials; use --force"):
        restore(used.url, copy)
    assert trials(used.file) == 8
    _, kept = restore(used.url, copy, force=True)
    assert kept is not None
    assert used.file.parent == kept.parent
    assert (trials(used.file), trials(kept)) == (5, 8)


def test_other_processes_see_the_restored_store(used: Used, copy: Path) -> None:
    """Whoever has the store open goes on with what was restored; no log of the old one is left."""
    assert Path(f"{used.file}-wal").exists()
    restore(used.url, copy, force=True)
    assert len(used.store.trials(1)) == 5
    used.run(1)
    used.close()
    assert trials(used.file) == 6


def test_leftover_log_of_another_store(used: Used, copy: Path, tmp_path: Path) -> None:
    """A log that outlived its database does not get into the restored one."""
    log, index = (Path(f"{used.file}{suffix}") for suffix in ("-wal", "-shm"))
    for path in (log, index):
        shutil.copy(path, tmp_path / path.name)
    used.close()
    used.file.unlink()
    for path in (log, index):
        shutil.copy(tmp_path / path.name, path)
    restore(used.url, copy, force=True)
    assert trials(used.file) == 5


def test_running_trials_are_not_pulled_away(used: Used, copy: Path) -> None:
    """While a worker holds a trial nothing is restored, not even by force."""
    used.leases.claim()
    with pytest.raises(UsageError, match="1 of its trials are running"):
        restore(used.url, copy, force=True)
    assert trials(used.file) == 9


def test_dead_workers_do_not_stand_in_the_way(used: Used, copy: Path) -> None:
    """A lease of a process that is gone holds nothing."""
    gone = replace(Owner.of(), pid=2**22 + 1)
    Leases(used.database, used.record, lag=None, seed=int, owner=gone).claim()
    restore(used.url, copy, force=True)
    assert trials(used.file) == 5


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0" + b"\xff" * 4096, b"no database"])
def test_damaged_store_is_replaced(used: Used, copy: Path, damage: bytes) -> None:
    """What a backup is for: the store is torn. What is left of it is kept."""
    used.close()
    used.file.write_bytes(damage)
    if damage:
        with pytest.raises(UsageError, match="--force"):
            restore(used.url, copy)
    _, kept = restore(used.url, copy, force=True)
    assert trials(used.file) == 5
    assert damage == (kept.read_bytes() if kept else b"")


def test_database_of_something_else_is_kept(used: Used, copy: Path, tmp_path: Path) -> None:
    """Another program's database is not taken for an empty store."""
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE precious (x)")
    with pytest.raises(UsageError, match="another program"):
        restore(f"sqlite:///{file}", copy)


def _unreadable(tmp_path: Path, kind: str, copy: Path) -> Path:
    """A file that is no backup of this program's."""
    file = tmp_path / f"{kind}.db"
    if kind == "text":
        file.write_text("no database")
    elif kind == "torn":
        content = copy.read_bytes()
        file.write_bytes(content[:8192] + b"\xff" * 4096 + content[12288:])
    elif kind != "missing":
        shutil.copy(copy, file)
        with closing(sqlite3.connect(file)) as connection:
            if kind == "other":
                connection.execute("DROP TABLE hpsearch_version")
            else:
                connection.execute("UPDATE hpsearch_version SET version_num = '9999'")
            connection.commit()
    return file


@pytest.mark.parametrize("kind", ["missing", "text", "torn", "other", "newer"])
def test_only_a_backup_is_restored(used: Used, copy: Path, tmp_path: Path, kind: str) -> None:
    """What is no backup, or of a newer version, changes nothing."""
    file = _unreadable(tmp_path, kind, copy)
    with pytest.raises(UsageError, match=str(file)):
        restore(used.url, file, force=True)
    assert trials(used.file) == 8
    assert not [path for path in used.file.parent.iterdir() if "replaced" in path.name]


def test_store_url_is_checked(copy: Path) -> None:
    """A store that is neither kind is bad usage."""
    with pytest.raises(StoreOpenError):
        restore("mysql://somewhere/db", copy)


# -- end to end


@MLFLOWS_WARNINGS
def test_restored_study_goes_on_to_the_same_end(tmp_path: Path, write: Write, call: Call) -> None:
    """An older store goes on to the digest of the first run, with each trial once in MLflow."""

    def done(*arguments: str) -> str:
        ran = call(*arguments)
        assert (ran.code, ran.err if ran.code else "") == (0, "")
        return ran.out

    def run(trials: int = 7) -> None:
        hpsearch.load(file).run(trials=trials, workers=0)

    def state() -> tuple[str, int, set[str]]:
        """The digest, over how many trials, and which invariants are violated."""
        database = Database(settings.read().storage, create=False)
        store = Store(database)
        record = store.study("small")
        finished = store.finished(record.id)
        found = findings.judge(look.take(database, "small", settings.read()))
        database.engine.dispose()
        return (
            digest(finished, store.steps(record.id)),
            len(finished),
            {v.invariant for v in found.violations},
        )

    file = write(study(search__trials=7, search__sampler="tpe", search__lag=2))
    copy = tmp_path / "copy.db"
    run(trials=4)
    done("backup", str(copy))
    half = state()
    run()
    whole = state()
    assert (4, 7, set(), set()) == (half[1], whole[1], half[2], whole[2])

    refused = call("restore", str(copy))
    assert (refused.code, refused.out) == (2, "")
    assert "--force" in refused.err
    assert "is kept as" in done("restore", str(copy), "--force")
    assert half[:2] == state()[:2]
    assert {"orphans"} <= state()[2]  # MLflow knows trials that the restored store does not
    done("sync", "small")
    assert half == state()
    run()
    assert whole == state()

    restore(settings.read().storage, copy, force=True)
    run()  # at once, without a sync before
    assert whole == state()
