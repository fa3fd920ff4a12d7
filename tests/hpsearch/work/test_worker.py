"""How long a worker waits for a store that is away; the rest of it is in test_cli and faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
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
        self.shown: list[Any] = []
        self._answer = answer

    def renew(self, number: int, rows: Any) -> object:
        """Note when it was asked for, and what it shows."""
        assert number == 7
        self.renewed.append(self.clock)
        self.shown.append(None if rows is None else rows.tolist())
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def run(self, monkeypatch: pytest.MonkeyPatch, rows: Sequence[Any] = ()) -> bool:
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
        with _renewed(self, 7, rows) as held:  # type: ignore[arg-type]
            renewing[0].join(60)
            return held.is_set()


def test_lease_is_renewed_after_a_second_and_every_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several renewals may go astray, and the trial is held all the same."""
    lease = Lease()
    assert lease.run(monkeypatch)
    assert lease.renewed == [1.0 + 2.0 * n for n in range(75)]
    assert lease.shown == [None] * 75


def test_short_lease_is_renewed_three_times_while_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that two may go astray."""
    lease = Lease()
    lease.lease = 1.5
    assert lease.run(monkeypatch)
    assert lease.renewed == [0.5 * n for n in range(1, 31)]


def test_renewal_shows_the_epochs_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are, and no more than can be shown every two seconds."""
    monkeypatch.setattr(worker, "_SHOWN", 2)
    lease = Lease()
    assert lease.run(monkeypatch, [[1.0, 2.0], (3.0, 4.0), [5.0, 6.0]])
    assert lease.shown[0] == [[1.0, 2.0], [3.0, 4.0]]


def test_renewal_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away takes no lease: it may be back before the lease runs out."""
    lease = Lease(StoreAwayError("gone"))
    assert lease.run(monkeypatch)
    assert len(lease.renewed) == 75


def test_lease_of_another_is_noticed_at_the_first_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who no longer holds the trial learns so, and asks no more."""
    lease = Lease(False)
    assert not lease.run(monkeypatch)
    assert lease.renewed == [1.0]
