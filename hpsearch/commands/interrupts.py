"""What do Ctrl-C and SIGTERM do while a command has nothing to hand back? They end it, for certain.

The handler raises SystemExit. That may be lost: where Python calls a destructor or the callback of
a weak reference, it drops what is raised, and some extensions drop it while they are imported. So
it is raised again until it arrives. ``wiring.signals`` is for a command that ends in order.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN = 0.1  # seconds


class _Ended(SystemExit):
    """A signal has ended the command."""


@contextmanager
def ending() -> Iterator[None]:
    """End what is done here at the first SIGINT or SIGTERM, with 128 and its number as the code."""

    def end(number: int, _: FrameType | None = None) -> None:
        def again(*_: object) -> None:
            if not _arriving(sys.exc_info()[1]):
                end(number)

        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        raise _Ended(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    told = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if lost.exc_type is _Ended else told(lost)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        sys.unraisablehook = told


def _arriving(error: BaseException | None) -> bool:
    """Whether it is on its way: what is left behind by it is being put in order."""
    while error is not None and not isinstance(error, _Ended):
        error = error.__context__
    return error is not None
