"""When does Python look for garbage? Not among what stays until the process ends.

The import of MLflow makes a million objects that stay. Python would look through them while they
are made, twice afterwards, and once more when the process ends: a second in all.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_RARELY = 50_000
"""New objects after which Python looks through them, in place of 700."""

_ours = False
"""Whether the process is hpsearch's own. Another one's garbage is its own affair."""


def own_process() -> None:
    """This process runs hpsearch alone: Python looks rarely, and never again at what stays."""
    global _ours
    _ours = True
    gc.set_threshold(_RARELY, *gc.get_threshold()[1:])


@contextmanager
def staying() -> Iterator[None]:
    """What is made meanwhile stays, and is not looked through before it is there."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _ours:
            gc.freeze()
        if was:
            gc.enable()


def leave() -> None:
    """The process ends: all of its memory is given back at once."""
    gc.freeze()
