"""What a test does to a process that it starts: it is killed at a seam, or its leases are short.

Every Python that is started with this folder on its path does so, workers included.
``FAULT_KILL=SEAM:FILE`` kills with SIGKILL the first one that comes to that seam: the one that can
delete FILE, and there is none after. ``FAULT_LEASE`` gives the seconds that a lease holds.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hpsearch import seams

_seam, _, _file = os.environ.get("FAULT_KILL", "").partition(":")


def _die(name: str) -> None:
    if name != _seam:
        return
    try:
        Path(_file).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


seams.plug = _die

if "FAULT_LEASE" in os.environ:
    from hpsearch.ledger import leases

    leases.LEASE = float(os.environ["FAULT_LEASE"])
