"""How does a training run in a process of its own? By a supervisor that outlives its worker."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.threads import ONE_THREAD
from hpsearch.training import supervisor
from hpsearch.training.seam import TrainingFailed

LOG = 2**20
"""Bytes of a log that are kept, the last ones."""
_MOST = 8 * LOG  # bytes that it may have on disk


class Processes:
    """Runs processes one after another, and keeps what they print.

    The supervisor is started with the first, and ends with this object or this process.
    """

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._log = tempfile.TemporaryFile(prefix="hpsearch-log-", buffering=0)  # noqa: SIM115
        fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)  # all write at its end, also when cut
        weakref.finalize(self, self._log.close)
        self.running = False
        self.code: int | None = None
        """How the last process ended, once it has: as of ``subprocess``."""

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        scratch: Path | None = None,
        variables: Mapping[str, str] | None = None,
        channel: socket.socket | None = None,
    ) -> None:
        """Start a process; the one before has ended.

        Args:
            command: The program and its arguments.
            cwd: Its current folder.
            scratch: A folder that is removed with it, should this process be killed.
            variables: Of its environment, beside those of this process and one BLAS thread.
            channel: A socket that becomes its standard input.
        """
        control = self._open()
        request = {
            "run": list(command),
            "env": {**os.environ, **ONE_THREAD, **(variables or {})},
            "cwd": str(cwd),
            "scratch": str(scratch or ""),
        }
        fds = [self._log.fileno()] + ([channel.fileno()] if channel else [])
        self.running, self.code = True, None
        socket.send_fds(control, [b" "], fds)
        control.sendall(json.dumps(request).encode() + b"\n")

    def wait(self, seconds: float, *readers: socket.socket) -> bool:
        """Wait until the process has ended or a reader has something. Whether one has.

        Raises:
            TrainingFailed: If there is no such program, or the supervisor was killed.
        """
        self._trim()
        control = self._control
        assert control is not None
        ready = select.select([control, *readers] if self.running else [*readers], [], [], seconds)
        if control in ready[0]:
            self._hear(control)
        return any(reader in ready[0] for reader in readers)

    def stop(self) -> None:
        """End the process and all it has started, and wait until they are gone."""
        if self.running and self._control is not None:
            try:
                self._control.sendall(b'{"stop":true}\n')
                while self.running:
                    self.wait(1.0)
            except (OSError, TrainingFailed):
                self.running = False

    def forget_log(self) -> None:
        """Begin a new log."""
        os.ftruncate(self._log.fileno(), 0)

    @property
    def log(self) -> bytes:
        """The end of what was printed."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), LOG, max(0, size - LOG))

    def ended(self) -> str:
        """How the process ended, in words."""
        if self.code is not None and self.code < 0:
            try:
                return f"killed by {signal.Signals(-self.code).name}"
            except ValueError:
                return f"killed by signal {-self.code}"
        return f"exit code {self.code}"

    def _trim(self) -> None:
        if os.fstat(self._log.fileno()).st_size > _MOST:
            end = self.log
            os.ftruncate(self._log.fileno(), 0)
            self._log.write(end)

    def _open(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair()
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            theirs.close()
            weakref.finalize(self, _let_go, self._control, self._supervisor)
        return self._control

    def _hear(self, control: socket.socket) -> None:
        data = control.recv(2**16)
        if not data:
            self.running, self._control, self._unread = False, None, b""
            raise TrainingFailed("its supervisor was killed")
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            answer: dict[str, Any] = json.loads(line)
            self.running = False
            if "error" in answer:
                raise TrainingFailed(str(answer["error"]))
            self.code = answer["ended"]


def _let_go(control: socket.socket, supervisor: subprocess.Popen[bytes]) -> None:
    """Have the supervisor end what runs, if anything does, and itself."""
    control.close()
    try:
        supervisor.wait(0.5)
    except subprocess.TimeoutExpired:  # it goes on by itself, and nobody waits for it
        supervisor.returncode = 0
