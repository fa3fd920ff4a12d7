"""How does a worker start before its study is known? It imports what it will need, and is told.

The import takes as long as its launcher needs to find out what the study is.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType

from hpsearch import tied
from hpsearch.settings import Settings
from hpsearch.threads import ONE_THREAD

PROGRAM = "hpsearch.early"
"""The module that the process runs."""


def environ(settings: Settings, variables: Mapping[str, str]) -> dict[str, str]:
    """A worker's environment variables.

    Args:
        settings: The workspace.
        variables: Those that only the study's workers have.
    """
    return {
        **os.environ,
        **ONE_THREAD,
        **variables,
        "HPSEARCH_HOME": str(settings.home),
        "HPSEARCH_STORAGE": settings.storage,
    }


def start(words: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start Python with ``words``, tied to this process; its errors are for this one to read."""
    return tied.start(words, variables, stderr=subprocess.PIPE)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here, and that nobody reads from."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stderr):
        assert pipe is not None
        pipe.close()


class Early:
    """A process that may become a worker. At the end of the ``with`` it is killed if it has not.

    >>> with Early(settings) as early:
    ...     process = early.become(["worker", "--tied", code, "--", name], {})

    Args:
        settings: The workspace.
    """

    def __init__(self, settings: Settings) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        with suppress(OSError):  # no room for it: whoever starts a worker later will see
            self._process = start([PROGRAM], environ(settings, {}))

    def become(
        self, words: Sequence[str], variables: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | None:
        """Have it run ``hpsearch`` with ``words``, once.

        Args:
            words: The command and its options.
            variables: Those that only the study's workers have.

        Returns:
            The process, or None: it has become a worker before, or has not started with these
            variables, and is killed.
        """
        if variables:
            self.end()
        process, self._process = self._process, None
        if process is None:
            return None
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; why, its launcher will see
            os.write(process.stdin.fileno(), json.dumps(words).encode() + b"\n")
        return process

    def end(self) -> None:
        """Kill it, unless it has become a worker."""
        process, self._process = self._process, None
        if process is not None:
            kill(process)

    def __enter__(self) -> Early:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
