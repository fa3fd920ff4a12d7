"""Suggestions in a space with conditions, and of choices of mixed kinds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hpsearch.ledger.records import Curve, State, Trial, curve
from hpsearch.search.history import History
from hpsearch.search.narrowing import narrowed
from hpsearch.search.optuna_terms import distribution, inward, outward
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from hpsearch.study.conditions import needed
from hpsearch.study.config import Choices, Params, Range, Space, Study, same
from tests.conftest import study

OPEN: dict[str, Any] = {
    "training__optimizer": {"choices": ["sgd", "momentum", "adam"]},
    "training__momentum": {
        "low": 0.5,
        "high": 0.95,
        "step": 0.15,
        "when": {"training.optimizer": ["momentum"]},
    },
    "training__schedule": {"choices": ["constant", "cosine"]},
    "training__warmup": {"low": 1, "high": 2, "when": {"training.schedule": ["cosine"]}},
    "training__clip_norm": {"choices": [1.0, 5.0], "when": {"training.warmup": [2]}},
}


def finished(number: int, params: Params) -> tuple[Trial, Curve]:
    """A trial that came out by its learning rate and its momentum: to have a low one is best."""
    value = float(str(params.get("training.lr", 0))) + float(
        str(params.get("training.momentum", 2))
    )
    trial = Trial(
        number=number,
        state=State.COMPLETE,
        value=value,
        params=params,
        epochs=1,
        seed=0,
        attempts=1,
        started=0.0,
        ended=1.0,
        weights_sha256=None,
        mlflow_run_id=None,
        reason=None,
        rungs={},
        environment=None,
        in_optuna=False,
        in_mlflow=False,
    )
    return trial, curve([[0.0, 0.0, value, 0.0]])


def in_order(of: Study) -> list[Params]:
    """What one undisturbed worker tries."""
    history, tried = History(of), []
    for number in range(of.search.trials):
        tried.append(suggest(of, history, number))
        history.add([finished(number, tried[-1])])
    return tried


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_trial_has_what_its_conditions_let_it(sampler: str) -> None:
    """Each has just those values, and each kind of trial occurs."""
    of = study(search__sampler=sampler, search__trials=60, **OPEN)
    tried = in_order(of)
    assert [needed(of.space, params) for params in tried] == [set(params) for params in tried]
    assert len({tuple(params) for params in tried}) == 6
    for params in tried:
        assert all(value in of.space[path] for path, value in params.items())


def test_order_does_not_matter() -> None:
    """Whoever comes late to the history suggests the same."""
    of = study(search__sampler="tpe", search__trials=40, **OPEN)
    tried = in_order(of)
    rng = random.Random(0)
    for number in range(of.search.trials):
        history = History(of)
        known = [finished(n, params) for n, params in enumerate(tried)]
        history.add(rng.sample(known, len(known)))
        assert tried[number] == suggest(of, history, number)


def test_tpe_learns_what_only_some_trials_have() -> None:
    """It looks for a low value, and so for a low momentum among the trials that have one."""
    of = study(
        search__sampler="tpe", search__metric="val_loss", search__trials=120, search__lag=1, **OPEN
    )
    had = [p["training.momentum"] for p in in_order(of)[40:] if "training.momentum" in p]
    assert len(had) > 40  # of 80
    assert had.count(0.5) > len(had) / 2


def test_a_grid_visits_each_point_once() -> None:
    """Trials are all that there can be, in a shuffled order."""
    of = study(
        search__sampler="grid",
        search__trials=1000,
        **{**OPEN, "network__dropout": 0.0, "training__lr": 0.1},
    )
    tried = in_order(of)
    # (sgd, adam, momentum of four values) by (constant, cosine with warmup 1, and 2 with two norms)
    assert 6 * 4 == of.search.trials == len({str(sorted(p.items())) for p in tried})
    assert [needed(of.space, params) for params in tried] == [set(params) for params in tried]
    assert tried != sorted(tried, key=str)


def test_enqueued_points_come_first() -> None:
    """Also their conditional values."""
    point = {"training.optimizer": "momentum", "training.momentum": 0.8}
    of = study(search__enqueue=[point], **OPEN)
    params = suggest(of, History(of), 0)
    assert point == {path: params[path] for path in point}


def test_a_space_is_narrowed_with_its_conditions() -> None:
    """A choice that lost takes along what was searched under it alone; `when` forgets it."""
    space: Space = {
        "a": Choices(("good", "bad")),
        "b": Range(0.0, 1.0, when=(("a", ("bad",)),)),
        "c": Range(0.0, 1.0, when=(("a", ("good", "bad")),)),
    }
    tried: list[tuple[Params, float]] = [({"a": "good", "c": 0.5}, 1 + n / 100) for n in range(20)]
    tried += [({"a": "bad", "b": 0.5, "c": 0.5}, n / 100) for n in range(20)]
    found = narrowed(space, tried, maximize=True, limits={})
    assert {"a", "c"} == set(found)
    assert found["c"].when == (("a", ("good",)),)


MIXED = [1, True, "1", 1.0, "true", [1], [True], "[1]"]


@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
def test_mixed_choices_keep_their_kind(sampler: str) -> None:
    """Optuna tells them apart, in both directions."""
    of = study_file.parse(
        {
            "name": "own",
            "objective": {"function": "train:train", "metrics": ["loss", "a", "b", "c"]},
            "params": {"x": {"choices": MIXED}},
            "search": {"sampler": sampler, "trials": 60, "metric": "b"},
        }
    )
    tried = in_order(of)
    assert set(map(repr, MIXED)) == {repr(params["params.x"]) for params in tried}
    open_ = of.space["params.x"]
    known = distribution(open_)
    for choice in MIXED:
        copied = known.to_external_repr(known.to_internal_repr(outward(open_, choice)))
        assert same(choice, inward(open_, copied))
