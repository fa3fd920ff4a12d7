"""A trial is a pure function of the study, its number and the trials at least lag older."""

from __future__ import annotations

import math
import random
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest

from hpsearch.ledger.records import Curve, State, Trial, curve
from hpsearch.search.history import BEST, WINDOW, History
from hpsearch.search.optuna_terms import distribution
from hpsearch.search.promotion import seed_of
from hpsearch.search.pruning import pruning
from hpsearch.search.rungs import rung_steps
from hpsearch.search.seeds import Purpose, seed
from hpsearch.search.suggest import suggest
from hpsearch.study.config import Params, Study
from tests.conftest import study

KINDS = [
    {"search__sampler": sampler, "search__pruner": pruner}
    for sampler in ("random", "tpe")
    for pruner in ("none", "median", "hyperband")
]


def loss(params: Params, epoch: int) -> float:
    """A made-up training: a learning rate near 0.1 learns best, and little dropout helps."""
    lr, dropout = float(str(params["training.lr"])), float(str(params["network.dropout"]))
    return abs(math.log10(lr) + 1) + dropout * (1 - 1 / epoch) + 1 / epoch


def searched(**changes: Any) -> Study:
    """A study of the made-up training, over 27 epochs."""
    return study(
        **{"training__epochs": 27, "search__metric": "val_loss", "search__trials": 60, **changes}
    )


def run_trial(of: Study, history: History, number: int) -> tuple[Trial, Curve]:
    """What a worker does, with the made-up training."""
    params = suggest(of, history, number)
    stopper = pruning(of, history, number, params)
    rows, state = [], State.COMPLETE
    epochs = int(str(params.get("training.epochs", 27)))
    for epoch in range(1, epochs + 1):
        rows.append([0.0, 0.0, loss(params, epoch), 0.0])
        if stopper.stops(epoch, rows[-1][2]) and epoch < epochs:
            state = State.PRUNED
            break
    trial = Trial(
        number=number,
        state=state,
        value=rows[-1][2] if state is State.COMPLETE else None,
        params=params,
        epochs=len(rows),
        seed=seed_of(of, history, number),
        attempts=1,
        started=0.0,
        ended=1.0,
        weights_sha256=None,
        mlflow_run_id=None,
        reason=None,
        rungs=stopper.rungs,
        environment=None,
        in_optuna=False,
        in_mlflow=False,
    )
    return trial, curve(rows)


def in_order(of: Study) -> list[tuple[Trial, Curve]]:
    """The study as one undisturbed worker runs it."""
    history, done = History(of), []
    for number in range(of.search.trials):
        done.append(run_trial(of, history, number))
        history.add(done[-1:])
    return done


def in_some_order(of: Study, seed: int) -> list[tuple[Trial, Curve]]:
    """The study as workers run it: any trial whose history is there may be the next to end."""
    rng = random.Random(seed)
    done: dict[int, tuple[Trial, Curve]] = {}
    while len(done) < of.search.trials:
        ready = [
            n
            for n in range(of.search.trials)
            if n not in done and all(m in done for m in range(n - of.search.lag + 1))
        ]
        number = rng.choice(ready)
        history = History(of)  # as a worker does that has just started
        history.add(rng.sample(list(done.values()), len(done)))
        done[number] = run_trial(of, history, number)
    return [done[n] for n in sorted(done)]


def outcomes(trials: list[tuple[Trial, Curve]]) -> list[tuple[Any, ...]]:
    """What must not differ."""
    return [(t.number, t.state, t.value, t.params, t.epochs, t.rungs, t.seed) for t, _ in trials]


EVOLVING = [
    {"search__sampler": "cmaes", "search__pruner": "hyperband"},
    {"search__sampler": "tpe", "search__pruner": "pausing"},
]


@pytest.mark.parametrize("kind", KINDS + EVOLVING, ids=lambda kind: "-".join(kind.values()))
def test_order_does_not_matter(kind: dict[str, str]) -> None:
    """Whatever order trials end in, and whoever asks, suggestions and prunings are the same."""
    of = searched(**kind)
    expected = outcomes(in_order(of))
    for order in range(3):
        assert expected == outcomes(in_some_order(of, order))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_name_does_not_matter(kind: dict[str, str]) -> None:
    """A study's name, which Optuna's Hyperband hashes, changes nothing."""
    first, second = searched(**kind), searched(name="another", **kind)
    assert outcomes(in_order(first)) == outcomes(in_order(second))


def test_search_seed_matters() -> None:
    """Another search seed gives other values and other training seeds."""
    first, second = in_order(searched()), in_order(searched(search__seed=1))
    assert all(a.params != b.params for (a, _), (b, _) in zip(first, second, strict=True))
    assert all(a.seed != b.seed for (a, _), (b, _) in zip(first, second, strict=True))


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_pruner_prunes_and_keeps(pruner: str) -> None:
    """The made-up study has both pruned and complete trials, so the tests here see decisions."""
    states = [t.state for t, _ in in_order(searched(search__pruner=pruner))]
    assert {State.COMPLETE, State.PRUNED} == set(states)


@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_rungs_are_computed(pruner: str) -> None:
    """A study of 10⁸ epochs takes no more memory than one of ten."""
    of = study(training__epochs=10**8, search__pruner=pruner)
    tracemalloc.start()
    rungs = rung_steps(of)
    pruning(of, History(of), 0, suggest(of, History(of), 0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = {"none": (False, False), "median": (True, True), "hyperband": (True, False)}[pruner]
    assert expected == (3**9 in rungs, 3**9 + 1 in rungs)
    assert 10**8 not in rungs
    assert peak < 2**20


SAMPLERS = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
PRUNERS: dict[str, tuple[dict[str, Any], Callable[[], optuna.pruners.BasePruner]]] = {
    "none": ({}, optuna.pruners.NopPruner),
    "median": ({}, lambda: optuna.pruners.MedianPruner(n_warmup_steps=1)),
    "hyperband": ({}, lambda: optuna.pruners.HyperbandPruner(1, 27, 3)),
    "late median": (
        {"pruner": "median", "min_epochs": 9},
        lambda: optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=9),
    ),
    "late hyperband": (
        {"pruner": "hyperband", "min_epochs": 2, "reduction_factor": 2},
        lambda: optuna.pruners.HyperbandPruner(2, 27, 2),
    ),
    "late halving": (
        {"pruner": "halving", "min_epochs": 2, "reduction_factor": 4},
        lambda: optuna.pruners.SuccessiveHalvingPruner(2, 4),
    ),
    "percentile": (
        {"pruner": "percentile", "min_epochs": 3},
        lambda: optuna.pruners.PercentilePruner(25.0, n_startup_trials=5, n_warmup_steps=3),
    ),
    "most": (
        {"pruner": "percentile", "percentile": 80.0},
        lambda: optuna.pruners.PercentilePruner(80.0, n_startup_trials=5, n_warmup_steps=1),
    ),
}
"""What a study says, and the pruner of Optuna's that does it."""


@pytest.mark.parametrize(
    ("sampler", "named"),
    [("tpe", "none"), ("tpe", "median"), ("tpe", "hyperband"), *(("random", p) for p in PRUNERS)],
)
def test_equals_optuna_in_sequence(sampler: str, named: str) -> None:
    """With lag 1 it is what Optuna itself does, one trial after another, seed by seed."""
    asked, make = PRUNERS[named]
    search = {"pruner": named, **asked}
    of = searched(
        search__lag=1,
        search__sampler=sampler,
        **{f"search__{key}": value for key, value in search.items()},
    )
    ours = in_order(of)
    theirs = optuna.create_study(study_name="hpsearch", direction="minimize", pruner=make())
    space = {path: distribution(open_) for path, open_ in of.space.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(of.search.trials):
            own = seed(of, number, Purpose.SAMPLER) % 2**32
            theirs.sampler = SAMPLERS[sampler](seed=own)
            trial = theirs.ask(space)
            stopped = False
            for epoch in range(1, 28):
                trial.report(loss(trial.params, epoch), epoch)
                if epoch < 27 and trial.should_prune():
                    stopped = True
                    break
            if stopped:
                theirs.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                theirs.tell(trial, loss(trial.params, 27))
    assert [(t.params, t.epochs, str(t.state)) for t, _ in ours] == [
        (t.params, t.last_step, t.state.name) for t in theirs.trials
    ]


def test_history_ends_lag_before_the_trial() -> None:
    """A younger trial than lag allows is not looked at, even when it is known."""
    of = searched(search__sampler="tpe", search__lag=4)
    trials = in_order(of)
    short, whole = History(of), History(of)
    short.add(trials[:27])
    whole.add(trials)
    assert suggest(of, short, 30) == suggest(of, whole, 30)
    short = History(of)
    short.add(trials[:15])
    assert suggest(of, short, 30) != suggest(of, whole, 30)


def test_grid_visits_every_point_once() -> None:
    """The grid is gone through in one shuffled order, each trial's place its number."""
    of = study(
        network__dropout={"low": 0.0, "high": 0.4, "step": 0.1},
        network__hidden={"choices": [[8], [4, 4]]},
        training__lr={"choices": [0.1, 0.01]},
        search__sampler="grid",
        search__trials=1000,
    )
    points = [suggest(of, History(of), n) for n in range(of.search.trials)]
    assert 20 == len(points) == len({str(sorted(p.items())) for p in points})
    assert {str([8]), str([4, 4])} == {str(p["network.hidden"]) for p in points}


def test_grid_is_shuffled_by_the_seed() -> None:
    """Another seed goes another way; of a longer one the last 32 bits count."""

    def way(seed: int) -> list[str]:
        of = study(
            network__dropout={"low": 0.0, "high": 0.4, "step": 0.1},
            training__lr={"choices": [0.1, 0.01]},
            search__sampler="grid",
            search__seed=seed,
        )
        return [str(dict(suggest(of, History(of), number))) for number in range(10)]

    assert way(1) != way(2)
    assert way(2**32 + 1) == way(1) != way(2**31 + 1)


def test_enqueued_points_come_first() -> None:
    """The first trials try what the file says, and sample what it leaves open."""
    point = {"training.lr": 0.5, "network.dropout": 0.25}
    of = study(search__enqueue=[point, {"training": {"lr": 0.25}}])
    history = History(of)
    assert point == suggest(of, history, 0)
    second = suggest(of, history, 1)
    assert (second["training.lr"], 0 <= float(str(second["network.dropout"])) < 0.5) == (0.25, True)
    assert suggest(of, history, 2)["training.lr"] not in (0.5, 0.25)


def test_values_keep_their_types() -> None:
    """Whole numbers, switches and lists come back as what the study file says they are."""
    of = study(
        network__hidden={"choices": [[8], [4, 4]]},
        network__batch_norm={"choices": [True, False]},
        training__batch_size={"low": 10, "high": 30, "step": 10},
        training__optimizer={"choices": ["sgd", "adam"]},
    )
    for number in range(20):
        params = suggest(of, History(of), number)
        assert params["network.hidden"] in ([8], [4, 4])
        assert isinstance(params["network.batch_norm"], bool)
        assert params["training.batch_size"] in (10, 20, 30)
        assert isinstance(params["training.batch_size"], int)
        of.resolve(params, 0)


def test_seeds_differ_by_number_and_purpose() -> None:
    """No two trials and no two purposes share a seed, and each fits a double."""
    seeds = [seed(study(), n, p) for n in range(200) for p in Purpose]
    assert len(seeds) == len(set(seeds))
    assert max(seeds) < 2**53


def test_long_history_is_seen_through_a_window() -> None:
    """A sampler sees the best and the newest of a long history, whatever order it came in."""
    of = searched(search__sampler="tpe", search__lag=1)
    (example, rows), *_ = in_order(of)
    rng = random.Random(0)
    many = [
        (replace(example, number=n, value=rng.random(), state=State.COMPLETE), rows)
        for n in range(1000)
    ]
    history, shuffled = History(of), History(of)
    history.add(many)
    shuffled.add(rng.sample(many, len(many)))
    shown = [trial.number for trial in history.window(900)]
    best = sorted(range(900), key=lambda n: float(str(many[n][0].value)))[:BEST]
    assert set(best) <= set(shown)
    assert set(range(900 - WINDOW + BEST, 900)) <= set(shown)
    assert len(shown) <= WINDOW
    assert shown == sorted(shown)
    assert suggest(of, history, 900) == suggest(of, shuffled, 900)
    short = History(of)
    short.add(many[:900])
    assert suggest(of, history, 900) == suggest(of, short, 900)


def test_short_history_is_seen_whole() -> None:
    """Up to the window's size a sampler sees all that it may."""
    of = searched(search__sampler="tpe", search__lag=1)
    (example, rows), *_ = in_order(of)
    history = History(of)
    history.add([(replace(example, number=n), rows) for n in range(WINDOW)])
    assert history.before(WINDOW) == history.window(WINDOW)
