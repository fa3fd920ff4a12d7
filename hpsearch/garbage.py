"""When does Python look for garbage? Not among what stays, in a process that is hpsearch's own.

The import of MLflow makes half a million objects that stay. Python would look through them while
they are made, twice afterwards, and once more when the process ends: a second in all.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_own = False
"""Whether the process is hpsearch's own. Another one's garbage is its own affair."""


def own_process() -> None:
    """Say that this process is hpsearch's own. It is to be said before anything else is imported.

    It ends without a last look for garbage. What that look would close is closed before, by name:
    ``ledger.connections``.
    """
    global _own
    if not _own:
        atexit.register(gc.freeze)  # the first to be registered is the last to be called
    _own = True


def is_own() -> bool:
    """Whether it was said."""
    return _own


@contextmanager
def importing(module: str) -> Iterator[None]:
    """Not to look for garbage while a module is imported, nor later among what that has made.

    Nothing is done where it has been imported before: there may be garbage meanwhile.
    """
    if module in sys.modules:
        yield
        return
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _own:
            gc.freeze()
        if was:
            gc.enable()
