"""What the run of a round says, trial by trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from hpsearch.ledger.records import State, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.projections.round_summary import RoundSummary, params, round_summaries
from hpsearch.search.known import Round
from hpsearch.study.config import Study
from tests.conftest import study


@dataclass
class Tried:
    """A trial of the study."""

    number: int
    state: State
    value: float | None = None

    @property
    def started(self) -> float:
        return 10.0 + self.number

    @property
    def ended(self) -> float | None:
        return 20.5 - self.number if self.state.finished else None


@dataclass
class Ledger:
    """The study's store and record, both."""

    found: list[Tried]
    study: Study
    budget: int = 6
    id: int = 1

    def trials(self, _: int) -> list[Tried]:
        return self.found

    def ranked(self, _: object, trials: list[Tried]) -> list[Tried]:
        complete = [trial for trial in trials if trial.state is State.COMPLETE]
        return sorted(complete, key=lambda trial: -(trial.value or 0.0))


def said(*found: Tried, live: bool = True) -> list[RoundSummary]:
    """What the runs of two rounds of two trials say."""
    of = study(search__rounds=[2, 4])
    rounds = [Round(1, 0, 2, None, of.space), Round(2, 2, None, 7, of.space)]
    ledger: Any = Ledger(list(found), of)
    store, record = cast("Store", ledger), cast("StudyRecord", ledger)
    return list(round_summaries(store, record, rounds, live=live))


def test_a_round_that_is_done() -> None:
    """Its trials by state, its best, and when the first began and the last ended."""
    (one,) = said(Tried(0, State.COMPLETE, 0.12345), Tried(1, State.PRUNED))
    assert (one.number, one.name, one.status, one.step) == (1, "round 1 of 2", "FINISHED", 2)
    assert (one.start, one.end) == (10_000, 20_500)
    assert one.metrics == {"complete": 1, "pruned": 1, "failed": 0, "best_value": 0.12345}
    assert one.note == (
        "2 of 2 trials finished: 1 complete, 1 pruned, 0 failed.\n\n"
        "Best: trial 0, val_accuracy 0.1235."
    )


@pytest.mark.parametrize(
    ("live", "status", "end"), [(True, "RUNNING", None), (False, "KILLED", 20_500)]
)
def test_one_that_goes_on(live: bool, status: str, end: int | None) -> None:
    """It has no end as long as somebody works on it; then it ends with its last trial so far."""
    (one,) = said(Tried(0, State.FAIL), Tried(1, State.RUNNING), live=live)
    assert (one.status, one.end, one.step) == (status, end, 1)
    assert one.metrics == {"complete": 0, "pruned": 0, "failed": 1}
    assert one.note == "1 of 2 trials finished: 0 complete, 0 pruned, 1 failed."
    (one,) = said(Tried(0, State.FAIL), live=live)
    assert one.status == status
    (one,) = said(Tried(0, State.RUNNING), live=False)
    assert one.end == one.start == 10_000


def test_the_last_round() -> None:
    """It has what is left of the budget; the ranges and the epochs of each are its params."""
    trials = [Tried(n, State.COMPLETE, 0.1 * n) for n in range(6)]
    first, second = said(*trials)
    assert (first.status, second.status, second.name) == ("FINISHED", "FINISHED", "round 2 of 2")
    assert second.note.startswith("4 of 4 trials finished: 4 complete, ")
    assert second.metrics["best_value"] == 0.5
    assert second.start == 12_000
    assert said(*trials[:5])[1].status == "RUNNING"
    searched = {"network.dropout", "training.lr"}
    assert (first.params.keys(), second.params.keys()) == (searched, searched | {"training.epochs"})
    assert second.params["training.epochs"] == "7"
    assert params(Round(1, 0, 2, None, {})) == {}
