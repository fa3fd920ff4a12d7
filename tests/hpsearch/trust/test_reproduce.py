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
from hpsearch.search import race
from hpsearch.study.objective import LOCAL, ObjectiveConfig
from hpsearch.training.seam import TrainingFailed
from hpsearch.trust import compute, elsewhere, environment
from hpsearch.trust.reproduce import Reproduction, confirm, reproduce, rounds_here
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
    for recorded, now, near in (
        (np.inf, np.inf, True),
        (np.nan, np.nan, True),
        (np.nan, 1.0, False),
        (-1.7e308, 1.7e308, False),
    ):
        entered.store.curves = lambda *_, it=recorded: {0: np.full((1, 4), it)}  # type: ignore[method-assign]
        assert entered.again(rows=np.full((1, 4), now)).within_tolerance is near


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

    behind = replace(entered.trial, state=State.PRUNED, reason=race.REASON)
    with pytest.raises(UnknownTrialError, match="was not trained: its configuration was clear"):
        replace(entered, trial=behind).again()


def test_how_far_apart(ledger: Callable[..., Ledger]) -> None:
    """By metric, over the epochs that both have; infinitely where one alone is infinite or
    not a number, or where their difference is too large to be a number."""
    entered = ledger()
    assert set(entered.again().gaps.values()) == {0.0}
    found = entered.again(rows=changed((1, 2), -0.5)[:2]).gaps
    assert found == {"train_loss": 0, "train_accuracy": 0, "val_loss": 0.5, "val_accuracy": 0}
    for other in (np.nan, np.inf, -np.inf):
        gaps = entered.again(rows=changed((0, 1), other)).gaps
        assert gaps == {"train_loss": 0, "train_accuracy": np.inf, "val_loss": 0, "val_accuracy": 0}
    entered.store.curves = lambda *_: {0: np.full((1, 4), -1.7e308)}  # type: ignore[method-assign]
    assert set(entered.again(rows=np.full((1, 4), 1.7e308)).gaps.values()) == {np.inf}
    entered.store.curves = lambda *_: {0: np.full((1, 4), np.nan)}  # type: ignore[method-assign]
    assert set(entered.again(rows=np.full((1, 4), np.nan)).gaps.values()) == {0.0}
    assert set(entered.again(rows=np.zeros((0, 4))).gaps.values()) == {0.0}


def test_which_process_must_give_the_bits(ledger: Callable[..., Ledger]) -> None:
    """One that rounds as the recorded one did; of a trial that does not know, none."""
    entered = ledger()
    assert rounds_here(entered.store, entered.trial)
    assert not rounds_here(entered.store, replace(entered.trial, environment=None))
    other = ledger(elsewhere={"numpy": "0.1"}, name="other")
    assert not rounds_here(other.store, other.trial)


OTHERS = {
    "number": 0,
    "identical": False,
    "within_tolerance": False,
    "epochs": 3,
    "weights_sha256": "a",
    "recorded_sha256": "b",
    "first_difference": "epoch 1",
    "environment_differences": ["commit"],
    "rounds_alike": True,
    "gaps": {"val_loss": 0.5, "train_loss": None},
    "study": "small",
}
"""What another process tells, and more."""


def test_another_process_trains_it_where_this_one_cannot(
    ledger: Callable[..., Ledger], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with the recorded kernel and features: what it says is what there is to say."""
    asked: list[tuple[str, int, dict[str, str]]] = []
    told: list[elsewhere.Told | None] = [elsewhere.Told(OTHERS, WEIGHTS), None]

    def reproduced(_: object, *of: Any) -> elsewhere.Told | None:
        asked.append(of)
        return told.pop(0)

    monkeypatch.setattr(elsewhere, "reproduce", reproduced)
    monkeypatch.setattr(compute, "like", lambda there, here: {"KERNEL": there["numpy"]})
    entered = ledger(elsewhere={"numpy": "0.1"})
    arguments = (entered.store, entered.record, entered.trial)
    trained = Trained()
    found = reproduce(*arguments, trained, places(tmp_path))  # type: ignore[arg-type]
    assert asked == [("small", 0, {"KERNEL": "0.1"})]
    assert (found.elsewhere, found.identical, found.exit_code) == (True, False, 3)
    assert found.gaps == {"val_loss": 0.5, "train_loss": np.inf}
    assert (found.state, found.first_difference, trained.trained) == (WEIGHTS, "epoch 1", 0)
    for places_, many in ((places(tmp_path), 2), (None, 2)):  # it cannot, or is not asked
        found = reproduce(*arguments, Trained(), places_)  # type: ignore[arg-type]
        assert (len(asked), found.elsewhere, found.rounds_alike) == (many, False, False)
    monkeypatch.setattr(compute, "like", lambda *_: None)
    reproduce(*arguments, trained, places(tmp_path))  # type: ignore[arg-type]
    assert (len(asked), trained.trained) == (2, 1)
    same = ledger(name="same")
    assert same.again().identical
    reproduce(same.store, same.record, same.trial, trained, places(tmp_path))  # type: ignore[arg-type]
    assert (len(asked), trained.trained) == (2, 2)


@pytest.mark.parametrize(("function", "many"), [(f"{LOCAL}a", 0), ("a:b", 1)])
def test_a_function_of_this_process_is_trained_here(
    ledger: Callable[..., Ledger],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    many: int,
) -> None:
    """No other can call it."""
    asked: list[object] = []
    monkeypatch.setattr(elsewhere, "reproduce", lambda *of: asked.append(of))
    monkeypatch.setattr(compute, "like", lambda *_: {})
    entered = ledger(elsewhere={"numpy": "0.1"})
    objective = ObjectiveConfig(function="a:b", metrics=["val_loss"])
    objective = objective.model_copy(update={"function": function})
    own = replace(entered.record.study, objective=objective)
    record = replace(entered.record, study=own)
    monkeypatch.setattr(type(own), "resolve", lambda *_: None)
    reproduce(entered.store, record, entered.trial, Trained(), places(tmp_path))  # type: ignore[arg-type]
    assert len(asked) == many


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
