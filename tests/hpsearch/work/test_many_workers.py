"""Many workers on a clock that jumps: the lag decides how many have something to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.workers import Clocked, Crew, Seen


def simulated(folder: Path, workers: int, lag: int | None, seconds: float) -> Seen:
    """What became of trainings of two seconds, where each step with the ledger takes 2 ms."""
    database = Clocked(f"sqlite:///{folder / 'studies.db'}")
    try:
        return Crew(database, lag, lambda _: 0.002).run(workers, 2.0, seconds)
    finally:
        database.engine.dispose()


def test_without_a_lag_all_are_busy(tmp_path: Path) -> None:
    """Claims wait for each other alone, and each trial is run once."""
    seen = simulated(tmp_path, 64, None, 4.0)
    assert seen.looks == 0
    assert seen.trained > 0.9 * 64 * 4.0
    assert max(seen.claims) == pytest.approx(64 * 0.002, abs=1e-4)  # at first, the last
    assert len(seen.finished) == len(set(seen.finished))


def test_a_lag_keeps_as_many_busy(tmp_path: Path) -> None:
    """With lag 1 there is one trial at a time; eight workers need a lag of more than eight."""
    one = simulated(tmp_path, 8, 1, 12.0)
    assert one.finished == list(range(len(one.finished)))
    assert one.trained < 12.0
    shares = [simulated(tmp_path, 8, lag, 12.0).trained / (8 * 12.0) for lag in (4, 8, 32)]
    assert shares == sorted(shares)
    assert shares[0] < 0.5 < 0.9 < shares[-1]
