"""Where could a process die? The places that the tests kill it at.

``HPSEARCH_TEST_KILL=SEAM:FILE``, which only tests set, kills a process with SIGKILL the first time
it comes to that seam: first, because the one that can delete FILE dies and there is none after.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

SEAMS = (
    "claimed",  # a worker holds a trial, and has done nothing for it
    "shown",  # it has entered what the trial tries
    "training",  # it is half way, after the first epoch
    "trained",  # it has the result, and has not entered it
    "finished",  # it has entered it
    "run-created",  # the projector has begun an MLflow run
    "run-logged",  # and written everything into it
    "run-ended",  # and ended it, and has not marked it in the ledger
    "syncing",  # it has compared MLflow with the ledger, and has not written what is missing
)


def lease(usual: float) -> float:
    """Seconds a lease holds: as many as usual, unless a test has no time for that."""
    return float(os.environ.get("HPSEARCH_TEST_LEASE", usual))


_SEAM, _, _FILE = os.environ.get("HPSEARCH_TEST_KILL", "").partition(":")


def seam(name: str) -> None:
    """Die here, if a test has said so."""
    if name == _SEAM and _first():
        os.kill(os.getpid(), signal.SIGKILL)


def _first() -> bool:
    try:
        Path(_FILE).unlink()
    except FileNotFoundError:
        return False
    return True
