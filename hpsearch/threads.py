"""How many threads are there? One of BLAS's where a process trains: more would round otherwise.

Of others there are as many as the machine has room for.
"""

from __future__ import annotations

import os
import threading

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""One BLAS thread each: more would round differently, and fight over the cores."""

ONE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")
"""What a process that trains has in its environment."""


def one_thread() -> None:
    """Have BLAS use one thread in this process and its children. Call it before NumPy loads."""
    os.environ.update(ONE_THREAD)


def begin(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        MemoryError: If there is no room for another.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise MemoryError(str(error)) from error
