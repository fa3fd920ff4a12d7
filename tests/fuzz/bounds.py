"""What may come of anything at all: an answer, or an error of one line; in bounded time and memory.

Without a profile the examples are always the same few. Those of ``--hypothesis-profile=soak`` are
many, and others each time: ``make soak`` draws them for ten minutes.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from hypothesis import HealthCheck, settings

from hpsearch.errors import HpsearchError

SECONDS = 60
"""In which even a busy machine gives an answer; what takes longer has hung."""
MOST_MEMORY = 256 * 2**20
"""Bytes that an example may take beyond what was taken before it."""
LONGEST_LINE = 2000

_Answer = TypeVar("_Answer")


def examples(few: int) -> settings:
    """So many examples as a rule, the same each time; of the profile ``soak`` its own number."""
    usual = settings.default
    assert usual is not None
    soaking = usual.max_examples > settings.get_profile("usual").max_examples
    return settings(
        max_examples=usual.max_examples if soaking else few,
        derandomize=not soaking,
        database=usual.database if soaking else None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


@contextmanager
def bounded(seconds: int = SECONDS) -> Iterator[None]:
    """What takes longer has hung, and what takes more memory would take all."""

    def hung(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"no answer in {seconds} s")

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most)
    assert more < MOST_MEMORY, f"{more / 2**20:.0f} MiB"


def answer(ask: Callable[[], _Answer]) -> _Answer | None:
    """What comes of it; None if it is refused in one line. Anything else is raised."""
    with bounded():
        try:
            return ask()
        except HpsearchError as error:
            said = str(error)
    assert said
    assert "\n" not in said
    assert len(said) < LONGEST_LINE
    return None
