"""What a process has open is closed by name before it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HELD = """
import sys
from hpsearch.garbage import own_process
own_process()
import sqlalchemy as sa
from hpsearch.ledger.database import Database
from hpsearch.settings import sqlite
from pathlib import Path

file = Path(sys.argv[1])
database = Database(sqlite(file), create=True)
another = sa.create_engine(sqlite(file))
with another.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE marks (mark INTEGER)")
if sys.argv[2] == "garbage":
    for engine in (database.engine, another):
        engine.itself = engine
    del database, another, connection, engine
print(file.with_name(file.name + "-wal").exists())
"""


@pytest.mark.parametrize("kept", ["alive", "garbage"])
def test_no_log_is_left_beside_a_database(tmp_path: Path, kept: str) -> None:
    """Whoever made the engine, and whether or not anything refers to it yet."""
    file = tmp_path / "studies.db"
    told = subprocess.run(
        [sys.executable, "-c", HELD, file, kept], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["True"]
    assert {path.name for path in tmp_path.glob("studies.db*")} == {"studies.db"}


IN_USE = """
from hpsearch.garbage import own_process
own_process()
import sqlalchemy as sa
from hpsearch.ledger import connections
engine = sa.create_engine("sqlite://")
with engine.connect() as connection:
    connections.close()
    print(connection.exec_driver_sql("SELECT 1").scalar())
"""


def test_what_is_in_use_stays_open() -> None:
    """A thread that is to be cut short in the midst of a statement is not to fail by it."""
    told = subprocess.run([sys.executable, "-c", IN_USE], capture_output=True, check=True)
    assert told.stdout.split() == [b"1"]


OTHERS = """
import atexit, os, sys
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

engine = sa.create_engine("sqlite://", poolclass=StaticPool)
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE kept AS SELECT 1 AS one")

def save():
    with engine.connect() as connection:
        print(connection.exec_driver_sql("SELECT one FROM kept").scalar())

if sys.argv[1] == "a program of another's":
    atexit.register(save)
    import hpsearch.ledger.database
else:
    from hpsearch.garbage import own_process
    own_process()
    from hpsearch.ledger import connections
    engine.dispose()
    engine.connect().close()
    if os.fork() == 0:
        os._exit(len(connections._entries))
    print(len(connections._entries) - os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.parametrize("whose", ["a program of another's", "a parent's"])
def test_what_is_anothers_stays_open(whose: str) -> None:
    """Whoever imports this, or has forked, closes his own at his own time."""
    told = subprocess.run([sys.executable, "-c", OTHERS, whose], capture_output=True, text=True)
    assert (told.stdout, told.stderr) == ("1\n", "")
