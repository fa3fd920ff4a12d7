"""NSGA-II crosses the best of the generations before, which follow from the trials alone."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial

from hpsearch.search.delay import learns_from
from hpsearch.search.generations import NSGA_POPULATION, moved, of_all, population
from hpsearch.search.history import History
from hpsearch.search.nsga import Nsga
from hpsearch.search.suggest import suggest
from hpsearch.study.config import Study
from tests.conftest import study
from tests.hpsearch.search.test_suggest import in_order, loss, searched


def nsga(**changes: Any) -> Study:
    """A study of one objective, for which it ranks by that alone."""
    return searched(search__sampler="nsgaii", **changes)


def test_how_large_a_generation_is() -> None:
    """As the study file says; else what each sampler's own paper, or this module, says."""
    assert population(nsga()) == NSGA_POPULATION
    assert population(nsga(search__population=7)) == 7
    assert population(searched(search__sampler="cmaes")) == 4 + math.floor(3 * math.log(2))
    one = searched(search__sampler="cmaes", network__dropout=0.1)
    assert population(one) == 4


def test_what_evolves() -> None:
    """What is open in every trial; CMA-ES moves no choices."""
    of = study(
        network__dropout={"low": 0.1, "high": 0.1},
        training__optimizer={"choices": ["sgd", "momentum"]},
        training__momentum={"low": 0.1, "high": 0.9, "when": {"training.optimizer": ["momentum"]}},
    )
    assert list(of_all(of)) == ["training.lr", "training.optimizer"]
    assert list(moved(of)) == ["training.lr"]


@pytest.mark.parametrize("lag", [1, 3])
def test_the_first_generation_has_no_parents(lag: int) -> None:
    """Until one has been seen nothing is learned, and then it is."""
    of = nsga(search__lag=lag, search__population=6)
    trials, history = in_order(of), History(of)
    first = learns_from(of)
    assert first == 6 + lag - 1
    for number, (trial, _) in enumerate(trials[: first + 8]):
        assert number >= first or suggest(of, history, number) == trial.params
    learned = [suggest(of, history, n) != t.params for n, (t, _) in enumerate(trials)]
    assert not any(learned[:first])
    assert any(learned[first : first + 8])


def test_it_learns() -> None:
    """Its last trials are better than its first."""
    values = [
        loss(trial.params, 27) for trial, _ in in_order(nsga(search__lag=1, search__population=10))
    ]
    assert sum(values[-15:]) < 0.8 * sum(values[:15])


def test_parents_are_the_best_of_a_generation_and_the_parents_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the order of the numbers; each generation is chosen from once, whoever asks."""
    of = nsga(search__lag=1, search__population=4)
    trials = in_order(of)[:11]
    history = History(of)
    history.add(trials)
    asked: list[list[int]] = []
    sampler = Nsga(of, history, 11, 0)
    choose = sampler._elite_population_selection_strategy

    def noted(asker: optuna.Study, pool: list[FrozenTrial]) -> list[FrozenTrial]:
        asked.append([trial.number for trial in pool])
        return choose(asker, pool)

    sampler._elite_population_selection_strategy = noted  # type: ignore[assignment]
    asker: Any = optuna.create_study(direction="minimize")
    crossed: list[list[int]] = []
    sampler._child_generation_strategy = (  # type: ignore[assignment]
        lambda _, __, parents: crossed.append([p.number for p in parents]) or {}
    )
    sampler.sample_relative(asker, None, of_all(of))
    value = {trial.number: trial.value or 0.0 for trial, _ in trials}
    best = sorted(range(4), key=lambda n: value[n])
    assert asked[0] == [0, 1, 2, 3]
    assert sorted(asked[1][:4]) == [4, 5, 6, 7]
    assert set(asked[1][4:]) == set(best)
    assert sorted(crossed[0]) == sorted(sorted(range(8), key=lambda n: value[n])[:4])
    sampler.sample_relative(asker, None, of_all(of))
    assert len(asked) == 2


def test_pruned_trials_are_no_parents() -> None:
    """They have no value; a generation is of those that have one."""
    of = nsga(search__lag=1, search__population=4, search__pruner="median")
    trials = in_order(of)
    history = History(of)
    history.add(trials)
    complete = [t.number for t, _ in trials if t.value is not None]
    assert len(complete) < len(trials)
    sampler = Nsga(of, history, len(trials), 0)
    assert [trial.number for trial in sampler._complete] == complete
