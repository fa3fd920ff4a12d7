"""CMA-ES moves towards better trials, and its state follows from them alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from cmaes import CMA
from optuna.distributions import BaseDistribution
from optuna.samplers._lazy_random_state import LazyRandomState

from hpsearch.errors import StudyFileError
from hpsearch.ledger.records import State
from hpsearch.search.cma import _merit
from hpsearch.search.delay import learns_from
from hpsearch.search.generations import moved
from hpsearch.search.history import History
from hpsearch.search.optuna_terms import distributions
from hpsearch.search.seeds import Purpose, seed
from hpsearch.search.suggest import suggest
from hpsearch.study.config import Params, Study
from tests.conftest import study
from tests.hpsearch.search import test_suggest
from tests.hpsearch.search.test_suggest import in_order, loss, run_trial, searched


def cma(**changes: object) -> Study:
    return searched(search__sampler="cmaes", **changes)


class FromTheFirst(optuna.samplers.CmaEsSampler):
    """Optuna's own, told what is searched before there is a trial to read it off."""

    def __init__(self, of: Study, seed: int) -> None:
        super().__init__(seed=seed, n_startup_trials=0)
        self._whole = moved(of)
        self._seed = seed

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        return self._whole

    def _init_optimizer(self, *arguments: Any) -> CMA:
        """It takes a number from the stream that the trial is drawn with, which is given back."""
        begun = super()._init_optimizer(*arguments)
        self._cma_rng = LazyRandomState(self._seed)
        return begun


def test_equals_optuna_in_sequence() -> None:
    """With lag 1 it draws what Optuna's sampler draws, which keeps its state in the trials."""
    equals_optuna(cma(search__lag=1), lambda params: loss(params, 27))


def test_equals_optuna_in_a_corner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where what it draws lies outside again and again, and is moved to the edge at last."""

    def height(params: Params, _: int = 27) -> float:
        return sum(float(str(value)) for value in params.values())

    ranges = {"low": 0.0, "high": 0.9}
    of = cma(
        search__lag=1,
        search__trials=150,
        training__lr={"low": 0.1, "high": 0.9},
        training__weight_decay=ranges,
        training__momentum=ranges,
        training__optimizer="momentum",
        network__init={"low": 0.1, "high": 0.9},
    )
    monkeypatch.setattr(test_suggest, "loss", height)
    equals_optuna(of, height)


def equals_optuna(of: Study, value: Callable[[Params], float]) -> None:
    """Each trial in turn is the one that Optuna's own sampler draws."""
    theirs = optuna.create_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(of.search.trials):
            theirs.sampler = FromTheFirst(of, seed(of, number, Purpose.SAMPLER) % 2**32)
            trial = theirs.ask(distributions(of))
            theirs.tell(trial, value(trial.params))
    ours = [trial.params for trial, _ in in_order(of)]
    for one, other in zip(ours, theirs.trials, strict=True):
        assert one == pytest.approx(other.params, rel=1e-9)  # a pickle rounds the covariance


@pytest.mark.parametrize("lag", [1, 8])
def test_it_learns(lag: int) -> None:
    """Its last trials are far better than its first."""
    values = [loss(trial.params, 27) for trial, _ in in_order(cma(search__lag=lag))]
    assert sum(values[-15:]) < 0.6 * sum(values[:15])


def test_the_first_population_is_drawn_around_the_middle() -> None:
    """Until one population has been seen nothing is learned, and then it is."""
    of = cma(search__lag=3, search__population=5)
    trials, history = in_order(of), History(of)
    first = learns_from(of)
    assert first == 7
    for number, (trial, _) in enumerate(trials):
        assert (suggest(of, history, number) == trial.params) == (number < first)


def test_a_pruned_trial_ranks_behind_those_that_completed() -> None:
    """So a population of the worst ones moves the distribution away from them."""
    of = cma(search__lag=1, search__population=4)
    done = in_order(of)[:4]
    (one, curve), *others = done
    pruned = [(replace(one, state=State.PRUNED, value=None), curve[:1]), *others]
    worst = [(replace(one, value=1e9), curve), *others]
    points = []
    for trials in (pruned, worst, done):
        history = History(of)
        history.add(trials)
        points.append(suggest(of, history, 4))
    assert points[0] == points[1] != points[2]


@pytest.mark.parametrize("maximize", [True, False])
def test_who_ranks_before_whom(maximize: bool) -> None:
    """COMPLETE trials by their values, then pruned ones: those that came further first, and of
    equal ones by what they were shown last. What is no number is the last of its epoch."""
    sign = -1.0 if maximize else 1.0

    def trial(value: float | None, **shown: float) -> optuna.trial.FrozenTrial:
        values = {int(epoch[1:]): sign * of for epoch, of in shown.items()}
        if value is None:
            pruned = optuna.trial.TrialState.PRUNED
            return optuna.trial.create_trial(state=pruned, intermediate_values=values)
        return optuna.trial.create_trial(value=sign * value, intermediate_values=values)

    expected = [
        trial(-1.0, _1=9.0),
        trial(0.0),
        trial(1e9),
        trial(None, _1=9.0, _3=0.5),
        trial(None, _1=0.0, _3=0.75),
        trial(None, _3=math.nan),
        trial(None, _1=0.25),
        trial(None, _1=math.nan),
        trial(None),
    ]
    merits = [_merit(each, maximize=maximize) for each in expected]
    assert merits == sorted(merits)
    assert len(set(merits)) == len(merits)


def test_choices_and_conditions_are_drawn_at_random() -> None:
    """Every choice is still tried late in the search."""
    when = {"training.optimizer": ["momentum"]}
    of = cma(
        search__lag=1,
        search__trials=150,
        training__optimizer={"choices": ["sgd", "momentum"]},
        training__momentum={"low": 0.1, "high": 0.9, "when": when},
    )
    late = [trial.params for trial, _ in in_order(of)][40:]
    assert {params["training.optimizer"] for params in late} == {"sgd", "momentum"}
    assert {"training.momentum" in p for p in late} == {True, False}


def test_each_trial_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that joins a long study tells all populations, and then one at a time."""
    of = cma(search__lag=1, search__population=5)
    (example, rows), *_ = in_order(of)[:1]
    history = History(of)
    history.add((replace(example, number=n, value=float(n % 7)), rows) for n in range(1000))
    told: list[int] = []
    tell = CMA.tell
    monkeypatch.setattr(CMA, "tell", lambda cma, points: (told.append(1), tell(cma, points))[1])
    suggest(of, history, 1000)
    assert len(told) == 200
    for number in range(1000, 1010):
        history.add([run_trial(of, history, number)])
    assert len(told) == 201


def test_where_it_has_shrunk_to_a_point_it_begins_elsewhere() -> None:
    """A study that goes on for ever tries no single point for ever, and stays inside its ranges."""
    of = cma(search__lag=1, search__population=8, network__dropout=0.0)
    (example, rows), *_ = in_order(cma(search__lag=1))
    history, points, tried = History(of), [], list[float]()
    for number in range(500):
        params = suggest(of, history, number)
        tried.append(math.log10(float(str(params["training.lr"]))))
        trial = replace(example, number=number, params=params, value=abs(tried[-1] + 2))
        history.add([(trial, rows)])
        points.append(params)
    assert all(params["training.lr"] in of.space["training.lr"] for params in points)
    spread = [max(tried[n : n + 8]) - min(tried[n : n + 8]) for n in range(0, 496, 8)]
    shrunk = spread.index(min(spread))
    assert min(spread) < 1e-7
    assert max(spread[shrunk:]) > 0.1


def test_it_needs_a_range() -> None:
    """Of choices alone there is no normal distribution."""
    with pytest.raises(StudyFileError, match="cmaes needs a range without a condition; add one"):
        study(
            search__sampler="cmaes",
            training__lr={"choices": [0.1, 0.2]},
            network__dropout=0.0,
        )
