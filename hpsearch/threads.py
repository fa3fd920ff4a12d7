"""How many threads does BLAS use? One, in every process that trains: more would round otherwise."""

from __future__ import annotations

import os

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""One BLAS thread each: more would round differently, and fight over the cores."""

ONE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")
"""What a process that trains has in its environment."""


def one_thread() -> None:
    """Have BLAS use one thread in this process and its children. Call it before NumPy loads."""
    os.environ.update(ONE_THREAD)
