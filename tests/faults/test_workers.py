"""Processes die or stop at every moment: the study is the same study."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults import cases
from tests.faults.workspace import Place


def test_killed_at_random_times(place: Place) -> None:
    """Four kills of workers and of the whole group, and not a bit is different."""
    assert cases.random_kills(place, Random(4), 4) == 4


def test_worker_sleeps_beyond_its_lease(embedded: Place) -> None:
    """Its trial is another's by then, and it finds that out before it writes."""
    cases.stopped_beyond_lease(embedded)


@pytest.mark.parametrize(
    ("place", "how"),
    [
        ("shared", "with tracking"),
        *(
            pytest.param(place, how, marks=pytest.mark.soak)
            for place in ("embedded", "shared")
            for how in ("bare", "without tracking", "with tracking")
            if (place, how) != ("shared", "with tracking")
        ),
    ],
    indirect=["place"],
)
def test_eight_start_on_nothing(place: Place, how: str) -> None:
    """The schema is made once, the study is entered once, and nobody fails."""
    cases.stampede(place, tracking=how == "with tracking", bare=how == "bare")


def test_many_short_trials(embedded: Place) -> None:
    """Eight workers share trials of a few milliseconds without a double."""
    cases.many_short(embedded, cases.define("several", 150))
