"""Two runs of one study are held against each other, trial by trial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest

from hpsearch.ledger.records import Curve, State, Steps, Trial
from hpsearch.trust.replay import Difference, Run, differences

CURVE = np.arange(1.0, 9.0).reshape(2, 4)
METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def ended(number: int, **changes: Any) -> Trial:
    """A trial that was trained to its end."""
    trial = Trial(
        number=number,
        state=State.COMPLETE,
        value=8.0,
        params={"training.lr": 0.1},
        epochs=2,
        seed=7 + number,
        attempts=1,
        started=1.0,
        ended=2.0,
        weights_sha256="a" * 64,
        mlflow_run_id=None,
        reason=None,
        rungs={},
        environment="e",
        in_optuna=False,
        in_mlflow=False,
    )
    return replace(trial, **changes)


@dataclass
class Ledger:
    """A store and the record of its one study, both."""

    trials: list[Trial]
    curves: dict[int, Curve] = field(default_factory=dict)
    by_step: dict[int, Steps] = field(default_factory=dict)
    numpy: str = "2.4"
    id: int = 1
    metrics: tuple[str, ...] = METRICS

    def finished(self, _: int) -> list[tuple[Trial, Curve]]:
        return [(trial, self.curves.get(trial.number, CURVE)) for trial in self.trials]

    def steps(self, _: int) -> dict[int, Steps]:
        return self.by_step

    def environment(self, _: str) -> dict[str, Any]:
        return {"numpy": self.numpy, "python": f"with {self.numpy}"}


def held(recorded: Ledger, again: Ledger) -> list[Difference]:
    """What differs."""
    one, other = (cast("Run", (ledger, ledger)) for ledger in (recorded, again))
    return differences(one, other)


def test_what_does_not_count() -> None:
    """When and by whom a trial was run, and how often it was begun, is no difference."""
    again = [replace(ended(0), attempts=3, started=5.0, ended=9.0, in_mlflow=True), ended(1)]
    assert held(Ledger([ended(0), ended(1)]), Ledger(again)) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            {"params": {"training.lr": 0.2}},
            "params {'training.lr': 0.1} recorded, {'training.lr': 0.2} now",
        ),
        ({"seed": 9}, "seed 8 recorded, 9 now"),
        ({"state": State.PRUNED}, "state COMPLETE recorded, PRUNED now"),
        ({"reason": "diverged"}, "reason None recorded, diverged now"),
        ({"value": 8.5}, "value 8.0 recorded, 8.5 now"),
        ({"value": None}, "value 8.0 recorded, None now"),
        ({"weights_sha256": "b"}, f"weights_sha256 '{'a' * 64}' recorded, 'b' now"),
    ],
)
def test_each_of_these_counts(change: dict[str, Any], what: str) -> None:
    """A trial that differs in one of them alone is named with it, and no other trial is."""
    found = held(Ledger([ended(0), ended(1)]), Ledger([ended(0), ended(1, **change)]))
    assert found == [Difference(1, what, rounds_alike=True)]


def test_every_bit_of_a_curve_counts() -> None:
    """A number that is off in its last place, an epoch more, and a loss of one step."""
    other = CURVE.copy()
    other[1, 2] = np.nextafter(other[1, 2], 8)
    for again, what in (
        (Ledger([ended(0)], curves={0: other}), "epoch 2: val_loss 7.0 recorded, 7.0000"),
        (Ledger([ended(0)], curves={0: CURVE[:1]}), "epochs: 2 recorded, 1 now"),
        (Ledger([ended(0)], by_step={0: np.array([0.5])}), "the losses by step"),
    ):
        (found,) = held(Ledger([ended(0)]), again)
        assert found.what.startswith(what)
        assert found.rounds_alike
    steps = {0: np.array([0.5])}
    assert held(Ledger([ended(0)], by_step=steps), Ledger([ended(0)], by_step=dict(steps))) == []


def test_a_trial_that_only_one_has() -> None:
    """It was run once, wherever that was: in the order of the numbers."""
    found = held(Ledger([ended(2), ended(0)], numpy="1"), Ledger([ended(1), ended(2)], numpy="1"))
    assert found == [
        Difference(0, "it was not run", rounds_alike=True),
        Difference(1, "it was not recorded", rounds_alike=True),
    ]


@pytest.mark.parametrize("nowhere", [(), (0,), (1,)])
def test_where_bits_need_not_be_the_same(nowhere: tuple[int, ...]) -> None:
    """Another NumPy rounds otherwise, and only what rounds otherwise counts; where one of the two
    trials does not know its environment, the bits have to be the same."""
    trials = [
        [ended(0, value=value, environment=None if at in nowhere else "e")]
        for at, value in enumerate((8.0, 8.5))
    ]
    (alike,) = held(Ledger(trials[0]), Ledger(trials[1]))
    (other,) = held(Ledger(trials[0]), Ledger(trials[1], numpy="2.5"))
    assert (alike.rounds_alike, other.rounds_alike) == (True, bool(nowhere))
