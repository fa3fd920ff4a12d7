"""A process is told apart from all others that ever had its pid, and seen to be gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from hpsearch.ledger import owner
from hpsearch.ledger.owner import LONGEST, Owner, holds, may_be_free

HERE = Owner.of()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that waits."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_there_and_back() -> None:
    """What is written is read, with a launcher and without one."""
    for made in (Owner.of(), Owner.of(launcher=os.getppid()), Owner("h", 1, "", (2, ""))):
        assert Owner.parse(str(made)) == made
    assert Owner.of(launcher=os.getppid()).launcher == (os.getppid(), owner._born(os.getppid()))
    assert Owner.of().launcher is None


@pytest.mark.parametrize("text", ["", "host", "host:1", "host:x:1", "host:1:2:3", "h:1:2:x:3"])
def test_what_is_no_owner(text: str) -> None:
    """It is refused, and never read as another."""
    with pytest.raises(ValueError, match=r".+"):
        Owner.parse(text)


def test_who_lives_is_not_gone(child: subprocess.Popen[bytes]) -> None:
    """One that has another start time under the same pid is another process."""
    here = Owner.of(child.pid)
    assert here.born.isdecimal()
    assert not here.gone()
    assert replace(here, born=str(int(here.born) + 1)).gone()
    assert not replace(here, born="0", host="elsewhere").gone()


def test_a_zombie_is_gone(child: subprocess.Popen[bytes]) -> None:
    """Killed, and not yet waited for: it runs nothing any more."""
    here = Owner.of(child.pid)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert owner._born(child.pid) is None
    assert here.gone()


def test_a_launcher_that_lives_sees_to_it(child: subprocess.Popen[bytes]) -> None:
    """What a dead worker held is its launcher's to free, while there is one."""
    dead = Owner.of(2**22 + 1)
    assert dead.born == ""
    living = (child.pid, owner._born(child.pid) or "")
    assert replace(dead, born="1").gone()
    assert not replace(dead, born="1", launcher=living).gone()
    assert replace(dead, born="1", launcher=(child.pid, "1")).gone()


@pytest.mark.parametrize(
    ("until", "held"),
    [
        (100.0, True),
        (99.9, False),
        (100.0 + LONGEST, True),
        (100.1 + LONGEST, False),
        (None, False),
    ],
)
def test_until_when_a_lease_holds(until: float | None, held: bool) -> None:
    """From now on, and no longer than any lease that is given now could."""
    assert holds(str(Owner.of()), until, 100.0) is held
    assert holds(None, until, 100.0) is False


@pytest.mark.parametrize(
    "of", [HERE, replace(HERE, pid=2**22 + 1), replace(HERE, host="elsewhere"), None, "nobody"]
)
@pytest.mark.parametrize("until", [None, 99.9, 100.0, 100.0 + LONGEST, 100.1 + LONGEST])
def test_a_query_leaves_out_what_certainly_holds(
    of: Owner | str | None, until: float | None
) -> None:
    """In SQL it is the same rule, but for what only an owner's own host can see."""
    name = None if of is None else str(of)
    columns = sa.literal(name, sa.Text), sa.literal(until, sa.Double)
    with sa.create_engine("sqlite://").connect() as connection:
        asked = bool(connection.execute(sa.select(may_be_free(*columns, 100.0))).scalar())
    here = isinstance(of, Owner) and of.host == HERE.host
    assert asked is (here or not holds(name, until, 100.0))


def test_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux a pid can be asked for, not its start."""
    assert owner._alive(os.getpid()) == ""
    assert owner._alive(1) == ""
    assert owner._alive(2**22 + 1) is None
    assert owner._read("/no/such/file") == owner._link("/no/such/file") == ""
