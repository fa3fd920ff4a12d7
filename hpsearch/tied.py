"""How does a process end with the one that started it? They are tied by a pipe.

Whoever starts it holds one end, and writes nothing. However it ends, the pipe closes then, and the
other one sees it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, cast
from weakref import WeakSet

from hpsearch.threads import begin

_tied: WeakSet[subprocess.Popen[bytes]] = WeakSet()


def start(
    words: Sequence[str],
    variables: Mapping[str, str],
    *,
    stdout: int = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a module of Python's with ``words``, importing nothing from the current folder.

    Args:
        words: The module and its arguments.
        variables: The process's environment.
        stdout: Where it writes, as ``subprocess`` has it.
        stderr: The same of its errors.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *words],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env=variables,
    )
    _tied.add(process)
    return process


def tie(then: Callable[[], None] = lambda: os._exit(1), stream: int = 0) -> None:
    """End this process, or do something else, as soon as the pipe on its standard input closes."""

    def wait() -> None:
        while os.read(stream, 1):
            pass
        then()

    begin(threading.Thread(target=wait, name="tie", daemon=True))


def _let_go() -> None:
    """A fork of whoever started them has their pipes, too, and is not to keep them alive."""
    for process in _tied:
        if process.stdin is not None:
            cast(Any, process.stdin).raw.close()  # which waits for no lock of another thread's


os.register_at_fork(after_in_child=_let_go)
