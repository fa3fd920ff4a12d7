"""Who sees to it that nothing is left of a process that a study asked for?

A worker has one supervisor, a process of its own session, and speaks with it over a socket on its
standard input. It runs one process at a time, in a group of its own: on request, or when the socket
closes since the worker is gone however it went, the whole group gets SIGTERM, ``GRACE`` seconds
later SIGKILL. What has left the group has become this process's child, and is killed, too.

It is run as a file, with nothing of hpsearch imported, so that it is there at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)


class Supervisor:
    """One process at a time. Requests and answers are JSON, a line each.

    ``{"run": [...], "env": {...}, "cwd": "...", "scratch": "..."}``, with the log's file descriptor
    and perhaps that of its standard input; it is answered by ``{"error": …}`` if there
    is no such program. ``{"stop": true}`` ends the process. However it ends, ``{"ended": code}``
    says so.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch = ""
        self._kill_at = math.inf
        self._unread = b""
        self._fds: list[int] = []
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Do as asked until the socket closes."""
        while True:
            wait = None if math.isinf(self._kill_at) else max(0, self._kill_at - time.monotonic())
            sources: list[Any] = [self._control, self._wake]
            ready = select.select(sources, [], [], wait)[0]
            if self._wake in ready:
                os.read(self._wake, 4096)
            if self._control in ready and not self._listen():
                break
            self._look()
        if self._process is not None:
            self._stop()
            while self._process is not None:
                time.sleep(0.01)
                self._look()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _listen(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 2**20, 4)
        self._fds += fds
        self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "run" in request:
                self._run(request)
            else:
                self._stop()
        return bool(data)

    def _run(self, request: dict[str, Any]) -> None:
        fds, self._fds = self._fds, []
        self._scratch = request["scratch"]
        self._kill_at = math.inf
        try:
            self._process = subprocess.Popen(
                request["run"],
                cwd=request["cwd"],
                env=request["env"],
                stdin=fds[1] if len(fds) > 1 else subprocess.DEVNULL,
                stdout=fds[0],
                stderr=fds[0],
                start_new_session=True,
            )
        except OSError as error:
            self._answer(error=f"{request['run'][0]}: {error.strerror or error}")
        finally:
            for fd in fds:
                os.close(fd)

    def _stop(self) -> None:
        if self._process is not None and math.isinf(self._kill_at):
            self._signal(signal.SIGTERM)
            self._kill_at = time.monotonic() + GRACE

    def _look(self) -> None:
        """See whether the process has ended, or is to be killed."""
        if self._process is None:
            return
        if time.monotonic() >= self._kill_at:
            self._signal(signal.SIGKILL)
        # Not reaped yet: as long as it is not, nobody else can bear its group's number.
        if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return
        self._signal(signal.SIGKILL)
        code = self._process.wait()
        self._process, self._kill_at = None, math.inf
        _kill_children()
        self._answer(ended=code)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _answer(self, **answer: Any) -> None:
        with contextlib.suppress(OSError):  # nobody is there to hear it
            self._control.sendall(json.dumps(answer).encode() + b"\n")


def _kill_children() -> None:
    """Kill what has left the group, and its children in turn."""
    while found := _children():
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    mine = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/{mine}/task/{mine}/children").read_text().split()]
    except OSError:  # a kernel that does not list them, or no Linux
        return [pid for pid, parent in _parents() if parent == mine]


def _parents() -> Iterator[tuple[int, int]]:
    """Every process of this machine that can be seen, and its parent."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = entry.read_text().rpartition(")")[2].split()[1]
            yield int(entry.parent.name), int(parent)


if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    Supervisor(socket.socket(fileno=0)).serve()
