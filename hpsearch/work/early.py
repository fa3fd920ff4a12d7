"""How does a worker start before its study is known? It imports what it will need, and is told.

The import takes as long as the launcher needs to find out what the study is. This module is both:
what the launcher uses, and, as a program, what the worker's process runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType

from hpsearch.settings import Settings
from hpsearch.threads import ONE_THREAD


def environment(settings: Settings, variables: Mapping[str, str]) -> dict[str, str]:
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
    """Start Python with ``words``, importing nothing from the current folder, on pipes."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=variables,
    )


class Early:
    """A process that may become a worker. It ends with the ``with`` that it is in, if it does not.

    >>> with Early(settings) as early:
    ...     process = early.become(["worker", "--tied", code, "--", name], variables)

    Args:
        settings: The workspace.
    """

    def __init__(self, settings: Settings) -> None:
        self._variables = environment(settings, {})
        self._process: subprocess.Popen[bytes] | None = start([__name__], self._variables)

    def become(
        self, words: Sequence[str], variables: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | None:
        """Have it run ``hpsearch`` with ``words``, once.

        Returns:
            The process, or None where it has become a worker already or started with other
            variables.
        """
        process = self._process
        if process is None or variables != self._variables:
            return None
        self._process = None
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; why, its launcher will see
            os.write(process.stdin.fileno(), json.dumps(words).encode() + b"\n")
        return process

    def __enter__(self) -> Early:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _wait() -> None:
    """Import and look up what a worker needs; then run what the launcher says, if it still does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the launcher
    from hpsearch.__main__ import main
    from hpsearch.training import network  # noqa: F401
    from hpsearch.trust import environment
    from hpsearch.work import shelf, worker  # noqa: F401

    environment.packages()
    said = sys.stdin.buffer.readline()
    if said:
        sys.argv[1:] = json.loads(said)
        main()


if __name__ == "__main__":
    _wait()
