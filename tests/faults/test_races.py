"""What several processes enter at the same moment is entered once, and none of them fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from hpsearch.database import Database
from hpsearch.store import Store
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
