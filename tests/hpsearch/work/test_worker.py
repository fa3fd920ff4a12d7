"""How long a worker waits for a store that is away; the rest of it is in test_cli and faults."""

from __future__ import annotations

import threading
import time

import pytest

from hpsearch.errors import StoreAwayError
from hpsearch.work import worker
from hpsearch.work.worker import patiently


class Store:
    """One that is away for so many steps."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.steps = 0

    def __call__(self) -> str:
        """A step with it."""
        self.steps += 1
        if self.steps <= self.away:
            raise StoreAwayError("gone")
        return "done"


def test_a_step_is_taken_again_until_the_store_is_back() -> None:
    """Whatever it gives then is what the step gives."""
    store = Store(away=4)
    assert patiently(threading.Event(), store) == "done"
    assert store.steps == 5


def test_an_outage_beyond_all_measure_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``OUTAGE`` seconds a worker gives up, with the store's own words."""
    monkeypatch.setattr(worker, "OUTAGE", 0.3)
    store, began = Store(away=10**9), time.monotonic()
    with pytest.raises(StoreAwayError, match="gone"):
        patiently(threading.Event(), store)
    assert time.monotonic() - began >= 0.3
    assert store.steps > 2


def test_who_is_told_to_stop_waits_no_longer() -> None:
    """One try is enough then."""
    stop, store = threading.Event(), Store(away=10**9)
    stop.set()
    with pytest.raises(StoreAwayError):
        patiently(stop, store)
    assert store.steps == 1
