"""Who holds a lease, and is that process still there?"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

LONGEST = 120.0
"""Seconds that no lease holds."""


def holds(owner: str | None, until: float | None, now: float) -> bool:
    """Whether somebody may be running what bears this lease: the one rule for all who ask.

    Args:
        owner: Who has it, as ``str`` wrote it.
        until: When it runs out, by the database's clock.
        now: The time by that clock.
    """
    if owner is None or until is None or not _in_time(until, now):
        return False
    try:
        return not Owner.parse(owner).gone()
    except ValueError:  # who that is cannot be known, and so not that it is gone
        return True


def may_be_free(
    owner: sa.ColumnElement[str], until: sa.ColumnElement[float], now: float
) -> sa.ColumnElement[bool]:
    """In SQL, the leases that ``holds`` has to be asked about.

    Of all others it would say yes: they are in time, and only on their own host could be seen that
    their owner is gone.
    """
    here = owner.startswith(f"{_host()}:", autoescape=True)
    return sa.or_(owner.is_(None), until.is_(None), sa.not_(_in_time(until, now)), here)


def _in_time(until: Any, now: float) -> Any:
    """Whether a lease has not run out, of numbers or of columns."""
    # One that ends later than any could that is given now was given by another clock, before the
    # database's was set back; whoever lives has it replaced within a third of its time.
    return (now <= until) & (until <= now + LONGEST)


@dataclass(frozen=True, slots=True)
class Owner:
    """One process, told apart from every other that ever had its pid."""

    host: str
    """The host, its boot, and the pid namespace: where a pid means the same process."""
    pid: int
    born: str
    """The process's start time as its host counts it; empty where that cannot be read."""
    launcher: tuple[int, str] | None = None
    """The pid and start time of the process that looks after this one, if one does."""

    @classmethod
    def of(cls, pid: int | None = None, launcher: int | None = None) -> Owner:
        """The owner that a process of this host is (default: this process), and its launcher."""
        pid = os.getpid() if pid is None else pid
        above = None if launcher is None else (launcher, _born(launcher) or "")
        return cls(_host(), pid, _born(pid) or "", above)

    @classmethod
    def parse(cls, text: str) -> Owner:
        """The owner that ``str`` wrote.

        Raises:
            ValueError: If it was not ``str`` that wrote it.
        """
        host, pid, born, *above = text.split(":")
        if len(above) not in (0, 2):
            raise ValueError(f"no owner: {text!r}")
        return cls(host, int(pid), born, (int(above[0]), above[1]) if above else None)

    def __str__(self) -> str:
        return ":".join(map(str, (self.host, self.pid, self.born, *(self.launcher or ()))))

    def gone(self) -> bool:
        """Whether certainly nobody sees to what the process held; False if that is not known.

        Its launcher does as long as it lives: it is told of the process's end, counts that as the
        fault of the trial that was held, and frees it.
        """
        if self.host != _host() or _lives(self.pid, self.born):
            return False
        return self.launcher is None or not _lives(*self.launcher)


def _host() -> str:
    return f"{socket.gethostname().replace(':', '')}/{_space(os.getpid())}"


@lru_cache(maxsize=1)
def _space(_pid: int) -> str:
    """The boot and the pid namespace, which stay what they are while this process lives.

    A claim asks for them once for each trial that runs on this host, with the study locked.
    """
    return f"{_read('/proc/sys/kernel/random/boot_id')}/{_link('/proc/self/ns/pid')}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path).replace(":", "")
    except OSError:
        return ""


def _lives(pid: int, born: str) -> bool:
    return _born(pid) == born


def _born(pid: int) -> str | None:
    """Start time in clock ticks since boot (proc(5), field 22); None if there is no process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _alive(pid)
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]


def _alive(pid: int) -> str | None:
    """Without /proc only the pid can be asked for, not its start."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""
