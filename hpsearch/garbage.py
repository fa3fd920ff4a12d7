"""When does Python look for garbage? Not among what stays until the process ends.

The import of MLflow makes a million objects that stay. Python would look through them while they
are made, twice afterwards, and once more when the process ends: a second in all.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ours = False
"""Whether the process is hpsearch's own. Another one's garbage is its own affair."""


def own_process() -> None:
    """This process runs hpsearch alone: what stays in it is looked through no more, nor its end."""
    global _ours
    if not _ours:
        atexit.register(gc.freeze)
    _ours = True


@contextmanager
def importing(module: str) -> Iterator[None]:
    """What the first import of a module makes stays, and is not looked through before it is there.

    Nothing else does: a connection that is garbage is to be closed.
    """
    if module in sys.modules:
        yield
        return
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _ours:
            gc.freeze()
        if was:
            gc.enable()
