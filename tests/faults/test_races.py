"""What several processes enter at the same moment is entered once, and none of them fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, curve
from hpsearch.ledger.store import Store
from tests.conftest import study

STARTERS, ROUNDS = 6, 10


def test_one_study_one_environment(database: Database) -> None:
    """Runs of one study file that start together find one study, and describe one environment."""
    store = Store(database)

    def enter(turn: int, start: threading.Barrier) -> int:
        start.wait()
        record = store.register(study(name=f"study-{turn}"), {"dataset": "d"})
        start.wait()
        store.remember({"turn": turn}, f"digest-{turn}")
        return record.id

    with ThreadPoolExecutor(STARTERS) as pool:
        for turn in range(ROUNDS):
            start = threading.Barrier(STARTERS, timeout=60)
            ids = list(pool.map(enter, [turn] * STARTERS, [start] * STARTERS))
            assert len(set(ids)) == 1
            assert store.environment(f"digest-{turn}") == {"turn": turn}
    assert [f"study-{turn}" for turn in range(ROUNDS)] == [r.name for r in store.studies()]


@pytest.mark.parametrize("does", ["finishes", "renews", "hands back"])
def test_takeover_of_what_is_no_longer_free(
    fresh_postgres: str, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    """A worker that outlived its lease may do something at the moment another takes over.

    On SQLite nothing comes between a look and what follows from it; on PostgreSQL it may.
    """
    database = Database(fresh_postgres)
    store = Store(database)
    record = store.register(study(), {"dataset": "d"})

    def worker(host: str, lease: float) -> Leases:
        owner = replace(Owner.of(), host=host)
        return Leases(database, record, lag=None, seed=lambda n: n, owner=owner, lease=lease)

    slow, quick = worker("slow", -1.0), worker("quick", 60.0)
    assert slow.claim() == Claim(0, 0)
    looked = quick._free

    def late(row: object, now: float) -> bool:
        free = looked(row, now)  # type: ignore[arg-type]
        if does == "finishes":
            slow.finish(0, Result(State.FAIL, None, {}, curve(), None, reason="made up"))
        elif does == "renews":
            slow.lease = 60.0
            assert slow.renew(0)
        else:
            slow.hand_back(0)
        return free

    monkeypatch.setattr(quick, "_free", late)
    assert quick.claim() == Claim(1, 1)
    states = {"finishes": State.FAIL, "renews": State.RUNNING, "hands back": State.WAITING}
    assert [states[does], State.RUNNING] == [t.state for t in store.trials(record.id)]
    database.engine.dispose()
