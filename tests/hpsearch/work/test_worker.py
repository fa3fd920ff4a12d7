"""How long a worker waits for a store that is away; the rest of it is in test_cli and faults."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from hpsearch.errors import StoreAwayError
from hpsearch.work import worker
from hpsearch.work.worker import _renewed, patiently


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


class Lease:
    """A lease of fifteen seconds, by a clock that runs as it is waited for: ten leases long."""

    lease = 15.0

    def __init__(self, answer: object = True) -> None:
        self.clock = 0.0
        self.renewed: list[float] = []
        self._answer = answer

    def renew(self, number: int) -> object:
        """Note when it was asked for."""
        assert number == 7
        self.renewed.append(self.clock)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def run(self, monkeypatch: pytest.MonkeyPatch) -> bool:
        """Hold it until its clock ends. Returns whether the trial is still held then."""
        lease = self

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                assert timeout is not None
                lease.clock += timeout
                if lease.clock > 10 * lease.lease:
                    return True
                return self.is_set()

        def thread(**options: Any) -> threading.Thread:
            renewing.append(threading.Thread(**options))
            return renewing[0]

        renewing: list[threading.Thread] = []
        kinds: Any = SimpleNamespace(Event=Event, Thread=thread)
        monkeypatch.setattr(worker, "threading", kinds)
        with _renewed(self, 7) as held:  # type: ignore[arg-type]
            renewing[0].join(60)
            return held.is_set()


def test_lease_is_renewed_three_times_while_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two renewals may go astray, and the trial is held all the same."""
    lease = Lease()
    assert lease.run(monkeypatch)
    assert lease.renewed == [5.0 * n for n in range(1, 31)]


def test_renewal_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away takes no lease: it may be back before the lease runs out."""
    lease = Lease(StoreAwayError("gone"))
    assert lease.run(monkeypatch)
    assert len(lease.renewed) == 30


def test_lease_of_another_is_noticed_at_the_first_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who no longer holds the trial learns so, and asks no more."""
    lease = Lease(False)
    assert not lease.run(monkeypatch)
    assert lease.renewed == [5.0]
