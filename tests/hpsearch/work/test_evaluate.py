"""How one trial ends: what its training gave, as a result that the ledger takes."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest

from hpsearch.data.datasets import load
from hpsearch.data.splits import split
from hpsearch.ledger.database import Database
from hpsearch.ledger.leases import Claim, Leases
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import Result, State, Trial
from hpsearch.ledger.store import Store
from hpsearch.search.history import History
from hpsearch.study.config import Params, Study
from hpsearch.training.network import NetworkTrainer
from hpsearch.trust.reproduce import reproduce
from hpsearch.work.worker import evaluate
from tests.conftest import study

SANE: Params = {"training.lr": 0.1, "network.dropout": 0.0}


@cache
def digits() -> NetworkTrainer:
    """What trains the small study."""
    described = study().data
    parts = split(
        load(described.dataset),
        train=described.train,
        validation=described.validation,
        seed=described.seed,
        test=described.test,
        scaling=described.scaling,
    )
    return NetworkTrainer(parts)


def ended(tried: Study, params: Params = SANE, **options: Any) -> Result | None:
    """How trial 0 ends."""
    return evaluate(tried, History(tried), Claim(0, 7), params, digits(), **options)


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize(
    "changes", [{}, {"training__patience": 1}, {"training__epochs": 0}], ids=str
)
def test_outcomes_are_the_value_in_the_mean(metric: str, changes: dict[str, Any]) -> None:
    """What each validation example scored at the end is, in the mean, the trial's value."""
    result = ended(
        study(search__metric=metric, training__lr=2.0, **changes), {"network.dropout": 0.0}
    )
    assert result is not None
    assert result.outcomes is not None
    assert result.outcomes.shape == (30,)
    assert pytest.approx(result.value, rel=1e-6) == float(result.outcomes.mean(dtype=float))


def test_outcomes_are_of_a_validation_metric() -> None:
    """No example of the validation part says anything of a metric of the training part."""
    result = ended(study(search__metric="train_loss"))
    assert result is not None
    assert result.outcomes is None


def untrained(metric: str) -> Study:
    """A study of first weights, of which some are beyond all measure."""
    return study(
        training__epochs=0,
        network__init={"choices": [0.01, 1e30]},
        search__metric=metric,
        search__direction="minimize" if metric.endswith("loss") else "maximize",
        search__sampler="tpe",
        search__lag=1,
        search__trials=8,
    )


@pytest.mark.parametrize("metric", ["val_loss", "val_accuracy"])
def test_first_weights_beyond_measure_have_diverged(metric: str) -> None:
    """Whatever metric ranks: PRUNED, diverged, without a value or a digest of what is NaN."""
    wild = ended(untrained(metric), {**SANE, "network.init": 1e30})
    assert wild is not None
    assert (wild.state, wild.reason, wild.value, wild.weights_sha256) == (
        State.PRUNED,
        "diverged",
        None,
        None,
    )
    tame = ended(untrained(metric), {**SANE, "network.init": 0.01})
    assert tame is not None
    assert tame.state is State.COMPLETE
    assert tame.value is not None
    assert math.isfinite(tame.value)


def test_first_weights_beyond_measure_reproduce(database: Database) -> None:
    """What diverged before any epoch does so again, and that is the same."""
    store, wild = Store(database), untrained("val_loss")
    record = store.register(wild, digits().digests)
    leases = Leases(database, record, lag=None, seed=lambda _: 7, owner=Owner.of())
    store.remember({}, "e" * 64)
    for init in (1e30, 0.01):
        claim = leases.claim()
        assert isinstance(claim, Claim)
        params = {**SANE, "network.init": init}
        result = evaluate(record.study, History(wild), claim, params, digits())
        assert result is not None
        assert leases.finish(claim.number, result, "e" * 64)
        outcome = reproduce(store, record, store.trial(record.id, claim.number), digits())
        assert (outcome.identical, outcome.first_difference) == (True, None)
    best = store.best(record)
    assert best is not None
    assert best.number == 1


def test_interrupted_trial_has_no_result() -> None:
    """One that was stopped half way is nobody's result: it is handed back, and run again."""
    looks = iter([False, True])
    assert ended(study(), interrupted=lambda: next(looks)) is None


def test_training_that_ends_because_it_was_interrupted_has_no_result() -> None:
    """A training of one's own sees the stop by itself: that it ended early is no outcome."""
    stopped: list[bool] = []

    class Own:
        def train(self, config: Any, number: int, interrupted: Any) -> Any:
            return Cut(digits().train(config, number, interrupted))

    class Cut:
        def __init__(self, training: Any) -> None:
            self._training = training

        def __getattr__(self, name: str) -> Any:
            return getattr(self._training, name)

        def __iter__(self) -> Any:
            yield next(iter(self._training))
            stopped.append(True)

    trainer: Any = Own()
    tried = study()
    ended = evaluate(tried, History(tried), Claim(0, 7), SANE, trainer, lambda: bool(stopped))
    assert stopped
    assert ended is None


def test_trial_at_its_last_epoch_is_not_interrupted_any_more() -> None:
    """The result of one that nobody interrupted does not depend on being asked."""
    whole = ended(study(), interrupted=lambda: False)
    assert whole is not None
    assert (whole.state, len(whole.curve)) == (State.COMPLETE, 3)
    assert whole.value == whole.curve[-1, 3]


GOOD: Params = {"training.lr": 0.3, "network.dropout": 0.0}
STANDING: Params = {"training.lr": 1e-12, "network.dropout": 0.0}
"""With which no weight of float32 moves, so that no epoch is better than the first."""
EARLY = 35
"""A number that Hyperband puts where trials are judged from the first rung on."""


def after_good_ones(tried: Study, params: Params) -> Result:
    """How a trial ends that a pruner compares with thirty good ones."""
    history = History(tried)
    best = {**GOOD, **({"training.epochs": 20} if "training.epochs" in tried.space else {})}
    good = evaluate(tried, history, Claim(EARLY, 7), best, digits())
    assert good is not None
    assert good.state is State.COMPLETE
    history.add((finished(number, good), good.curve) for number in range(30))
    result = evaluate(tried, history, Claim(EARLY, 7), params, digits())
    assert result is not None
    return result


def finished(number: int, result: Result) -> Trial:
    """A trial that ended so, as the ledger has it."""
    return Trial(
        number=number,
        state=result.state,
        value=result.value,
        params=result.params,
        epochs=len(result.curve),
        seed=7,
        attempts=1,
        started=0.0,
        ended=1.0,
        weights_sha256=result.weights_sha256,
        mlflow_run_id=None,
        reason=result.reason,
        rungs=result.rungs,
        environment=None,
        in_optuna=False,
        in_mlflow=False,
    )


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
@pytest.mark.parametrize("end", ["patience", "epochs"])
def test_trial_at_its_own_end_is_complete(pruner: str, end: str) -> None:
    """A rung on which a training ends anyhow saves nothing: the trial has its value."""

    def tried(**training: Any) -> Study:
        return study(
            search__metric="val_loss",
            search__pruner=pruner,
            search__min_epochs=4,
            search__reduction_factor=2,
            **{f"training__{key}": value for key, value in training.items()},
        )

    if end == "patience":
        result = after_good_ones(tried(epochs=20, patience=3), STANDING)
        longer = after_good_ones(tried(epochs=20, patience=4), STANDING)
    else:
        searched = tried(epochs={"low": 4, "high": 20})
        result = after_good_ones(searched, {**STANDING, "training.epochs": 4})
        longer = after_good_ones(searched, {**STANDING, "training.epochs": 5})
    assert (result.state, result.reason, len(result.curve)) == (State.COMPLETE, None, 4)
    assert result.value == result.curve[0, 2]
    assert result.outcomes is not None
    assert (State.PRUNED, pruner, 4) == (longer.state, longer.reason, len(longer.curve))
    assert longer.rungs == result.rungs  # later trials are compared with either
