"""Who holds a lease, and is that process still there?"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """One process, told apart from every other that ever had its pid."""

    host: str
    """The host, its boot, and the pid namespace: where a pid means the same process."""
    pid: int
    born: str
    """The process's start time as its host counts it; empty where that cannot be read."""

    @classmethod
    def of(cls, pid: int | None = None) -> Owner:
        """The owner that a process of this host is (default: this process)."""
        pid = os.getpid() if pid is None else pid
        return cls(_host(), pid, _born(pid) or "")

    @classmethod
    def parse(cls, text: str) -> Owner:
        """The owner that ``str`` wrote."""
        host, pid, born = text.rsplit(":", 2)
        return cls(host, int(pid), born)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}:{self.born}"

    def gone(self) -> bool:
        """Whether the process certainly lives no more; False where that cannot be known."""
        if self.host != _host():
            return False
        born = _born(self.pid)
        return born is None or born != self.born


def _host() -> str:
    parts = [socket.gethostname()]
    for path, read in (("/proc/sys/kernel/random/boot_id", _read), ("/proc/self/ns/pid", _link)):
        parts.append(read(path))
    return "/".join(parts)


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
