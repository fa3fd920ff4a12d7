"""A trial trained again is held against all that was recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpsearch import settings
from hpsearch.errors import NotComparableError, UnknownTrialError
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, StudyRecord, Trial, weights_digest
from hpsearch.ledger.store import Store
from hpsearch.training.seam import TrainingFailed
from hpsearch.trust import environment
from hpsearch.trust.reproduce import Reproduction, confirm, reproduce
from tests.conftest import study

DIGESTS = {"dataset": "d"}
PARAMS = {"network.dropout": 0.25, "training.lr": 0.5}
CURVE = np.arange(1.0, 13.0).reshape(3, 4)
WEIGHTS = {"W1": np.arange(6, dtype=np.float32).reshape(2, 3)}
STEPS = np.array([0.5, 0.25])


@dataclass
class Trained:
    """A training, and the trainer of it, that comes out as it is told."""

    rows: NDArray[np.float64] = field(default_factory=CURVE.copy)
    steps: NDArray[np.float64] = field(default_factory=STEPS.copy)
    state: dict[str, NDArray[Any]] = field(default_factory=lambda: dict(WEIGHTS))
    fails: bool = False
    digests: dict[str, str] = field(default_factory=lambda: dict(DIGESTS))
    packages: tuple[str, ...] = ()
    trained: int = 0
    given: int = 0
    closed: bool = False

    def train(self, *_: object) -> Trained:
        self.trained += 1
        return self

    def __iter__(self) -> Iterator[list[float]]:
        for row in self.rows:
            self.given += 1
            yield row.tolist()
        if self.fails:
            raise TrainingFailed("no more")

    def close(self) -> None:
        self.closed = True

    @property
    def sha256(self) -> str:
        return weights_digest(self.state)


@dataclass
class Ledger:
    """A study of one trial, which ended so."""

    store: Store
    record: StudyRecord
    trial: Trial

    def again(self, **trained: Any) -> Reproduction:
        """What training it again shows, if it comes out like that."""
        return reproduce(self.store, self.record, self.trial, Trained(**trained))  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Callable[..., Ledger]]:
    """Enters a trial of a study."""
    database = Database(f"sqlite:///{tmp_path / 'studies.db'}")
    store = Store(database)

    def enter(
        state: State = State.COMPLETE,
        reason: str | None = None,
        elsewhere: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Ledger:
        record = store.register(study(**changes), DIGESTS)
        leases = Leases(database, record, lag=None, seed=lambda n: n, owner=Owner.of())
        with environment.single_thread():
            there = environment.current() | (elsewhere or {})
        digest = environment.digest(there)
        store.remember(there, digest)
        assert isinstance(leases.claim(), Claim)
        value = 12.0 if state is State.COMPLETE else None
        weights = weights_digest(WEIGHTS)
        ended = Result(state, value, PARAMS, CURVE, weights, reason=reason, steps=STEPS)
        leases.finish(0, ended, digest)
        return Ledger(store, record, store.trial(record.id, 0))

    yield enter
    database.engine.dispose()


def places(home: Path) -> settings.Settings:
    """The workspace in a folder."""
    return settings.read({"HPSEARCH_HOME": str(home)})


def changed(at: tuple[int, int], by: float) -> NDArray[np.float64]:
    """The curve with one number changed."""
    curve = CURVE.copy()
    curve[at] += by
    return curve


def test_the_same_is_identical(ledger: Callable[..., Ledger]) -> None:
    """Everything alike: it agrees, says what it compared, and gives the weights."""
    found = ledger().again()
    assert (
        found.identical,
        found.first_difference,
        found.epochs,
        found.exit_code,
    ) == (True, None, 3, 0)
    assert weights_digest(WEIGHTS) == found.weights_sha256 == found.recorded_sha256
    assert found.state.keys() == WEIGHTS.keys()
    assert (found.environment_differences, found.rounds_alike) == ([], True)


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ({"rows": changed((0, 0), 1e-15)}, "epoch 1: train_loss 1.0 recorded, "),
        ({"rows": changed((2, 3), 1e-14)}, "epoch 3: val_accuracy 12.0 recorded, "),
        ({"rows": CURVE[:2]}, "epochs: 3 recorded, 2 now"),
        ({"rows": np.vstack([CURVE, CURVE[:1]])}, "epochs: 3 recorded, 4 now"),
        ({"steps": np.array([0.5, 0.26])}, "the losses by step"),
        ({"steps": np.array([0.5])}, "the losses by step"),
        ({"state": {"W1": WEIGHTS["W1"] + 1}}, "weights: sha256 "),
        ({"fails": True}, "it failed: no more"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_any_difference_is_found(
    ledger: Callable[..., Ledger], trained: dict[str, Any], said: str
) -> None:
    """Of a number, an epoch, a step, the weights or the end: it is DIFFERENT, and said where."""
    found = ledger().again(**trained)
    assert (found.identical, found.agrees, found.exit_code) == (False, False, 3)
    assert str(found.first_difference).startswith(said)
    assert found.outcome["identical"] is False


def test_where_bits_need_not_be_the_same(ledger: Callable[..., Ledger]) -> None:
    """A difference from another machine's bits is no verdict, and what differs there is said."""
    found = ledger(elsewhere={"machine": "abacus"}).again(rows=changed((0, 0), 1.0))
    assert (found.rounds_alike, found.exit_code) == (False, 4)
    assert found.environment_differences[0].startswith('machine: recorded "abacus", here ')


@pytest.mark.parametrize(
    ("at", "by", "agrees"),
    [
        ((0, 0), 0.009, True),
        ((0, 0), 0.02, False),
        ((2, 3), 0.1, True),  # relative to what is above 1
        ((2, 3), 0.2, False),
        ((0, 0), np.nan, False),
        ((0, 0), np.inf, False),
    ],
)
def test_a_tolerance_is_kept(
    ledger: Callable[..., Ledger],
    monkeypatch: pytest.MonkeyPatch,
    at: tuple[int, int],
    by: float,
    agrees: bool,
) -> None:
    """Numbers as near as the study allows agree without being identical; any further do not."""
    entered = ledger()
    monkeypatch.setattr(type(entered.record.study), "tolerance", 0.01)
    found = entered.again(rows=changed(at, by))
    assert (False, agrees) == (found.identical, found.agrees)
    assert (agrees, 0 if agrees else 3) == (found.outcome["identical"], found.exit_code)
    assert not entered.again(fails=True).agrees
    assert not entered.again(rows=CURVE[:2]).agrees


def test_a_stopped_trial_is_trained_to_where_it_was_stopped(ledger: Callable[..., Ledger]) -> None:
    """Not an epoch further, and then the training is closed."""
    entered = ledger(State.PRUNED, "stopped")
    trained = Trained(rows=np.vstack([CURVE, CURVE]))
    found = reproduce(entered.store, entered.record, entered.trial, trained)  # type: ignore[arg-type]
    assert (found.identical, found.epochs, trained.given, trained.closed) == (True, 3, 3, True)


def test_a_diverged_trial_ends_by_itself(ledger: Callable[..., Ledger]) -> None:
    """Going on where it diverged before is a difference."""
    entered = ledger(State.PRUNED, "diverged")
    assert entered.again().identical
    assert not entered.again(rows=np.vstack([CURVE, CURVE])).identical


def test_what_cannot_be_compared(ledger: Callable[..., Ledger]) -> None:
    """A trial that failed is none to reproduce; other data gives other numbers."""
    with pytest.raises(NotComparableError, match="has changed since the study ran"):
        ledger().again(digests={"dataset": "e"})
    entered = ledger()
    for trial in (
        replace(entered.trial, state=State.FAIL),
        replace(entered.trial, state=State.RUNNING),
        replace(entered.trial, environment=None),
    ):
        with pytest.raises(UnknownTrialError, match="name a COMPLETE or PRUNED trial"):
            replace(entered, trial=trial).again()


def test_it_is_confirmed_once(ledger: Callable[..., Ledger], tmp_path: Path) -> None:
    """Weights that came out the same are kept, and trained no more."""
    entered = ledger()
    trained = Trained()
    first, second = (
        confirm(
            entered.store,
            entered.record,
            entered.trial,
            trained,
            places(tmp_path),
        )  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert trained.trained == 1
    assert first.outcome == second.outcome
    assert (
        second.identical,
        second.rounds_alike,
        second.epochs,
        second.exit_code,
    ) == (True, True, 3, 0)
    assert (second.first_difference, second.environment_differences) == (None, [])
    assert weights_digest(second.state) == weights_digest(WEIGHTS)


@pytest.mark.parametrize("elsewhere", [{}, {"machine": "abacus"}])
def test_what_differs_is_not_kept(
    ledger: Callable[..., Ledger], tmp_path: Path, elsewhere: dict[str, Any]
) -> None:
    """A difference is told, or is no verdict where rounding differs; none of it is kept."""
    entered = ledger(elsewhere=elsewhere)
    arguments = (entered.store, entered.record, entered.trial)
    for _ in range(2):
        trained = Trained(state={"W1": WEIGHTS["W1"] + 1})
        if elsewhere:
            with pytest.raises(NotComparableError, match="rounds differently"):
                confirm(*arguments, trained, places(tmp_path))  # type: ignore[arg-type]
        else:
            assert not confirm(*arguments, trained, places(tmp_path)).identical  # type: ignore[arg-type]
        assert trained.trained == 1
    assert not (tmp_path / "cache" / "weights").exists()
