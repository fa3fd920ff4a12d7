"""A study of Optuna's, taken over: its ranges, its trials as history, and its best points."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

import hpsearch
from hpsearch import Choice, Float, Int
from hpsearch.errors import HpsearchError, StoreOpenError, UnknownStudyError, UsageError

Objective = Callable[[optuna.Trial], Any]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where a storage of Optuna's may be."""
    return f"sqlite:///{tmp_path / 'optuna.db'}"


def optimized(url: str, objective: Objective, trials: int = 12, **options: Any) -> optuna.Study:
    """A study of Optuna's, finished."""
    study = optuna.create_study(
        storage=url, study_name="old", sampler=optuna.samplers.RandomSampler(seed=0), **options
    )
    study.optimize(objective, n_trials=trials)
    return study


def usual(trial: optuna.Trial) -> float:
    """Every kind of parameter."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("depth", 2, 10, step=2)
    trial.suggest_int("units", 1, 3)
    trial.suggest_float("momentum", 0.0, 1.0, step=0.25)
    trial.suggest_categorical("kind", ["a", 2, 2.5, True])
    if trial.number == 3:
        raise optuna.TrialPruned
    return lr * depth


def test_ranges_and_best_points(url: str, home: Path) -> None:
    """They make a new study, whose first trials are the old one's best, the best of them first."""
    old = optimized(url, usual)
    past = hpsearch.import_optuna(url, "old", points=5)
    assert past["params"] == {
        "depth": Int(2, 10, step=2),
        "kind": Choice(["a", 2, 2.5, True]),
        "lr": Float(1e-5, 1e-1, log=True),
        "momentum": Float(0, 1, step=0.25),
        "units": Int(1, 3),
    }
    study = hpsearch.Study(
        "new",
        function=lambda params, seed: {"cost": params["lr"] * params["depth"]},
        metrics=["cost"],
        sampler="tpe",
        trials=6,
        **past,
    )
    complete = [trial for trial in old.trials if trial.value is not None]
    expected = [trial.value for trial in sorted(complete, key=lambda trial: trial.value)][:5]
    assert expected == [trial.value for trial in study.run(tracking=False).trials][:5]


def test_direction(url: str) -> None:
    """Of a study that maximizes, the best are the highest."""
    optimized(url, lambda trial: trial.suggest_int("x", 0, 100), direction="maximize")
    past = hpsearch.import_optuna(url, "old", points=3)
    assert all("params.x" in trial["values"] for trial in past["history"])
    values = [point["params.x"] for point in past["enqueue"]]
    assert ("maximize", sorted(set(values), reverse=True)) == (past["direction"], values)


def test_its_trials_are_the_samplers_history(url: str, home: Path) -> None:
    """From the first trial on the sampler knows them: the new study begins where they were good."""

    def parabola(x: float) -> float:
        return (x - 0.7) ** 2

    old = optimized(url, lambda trial: parabola(trial.suggest_float("x", 0, 1)), trials=40)
    past = hpsearch.import_optuna(url, "old")
    assert [trial.value for trial in old.trials] == [trial["value"] for trial in past["history"]]
    assert past["enqueue"] == []
    options: dict[str, Any] = {"metrics": ["cost"], "sampler": "tpe", "trials": 8}
    alone = hpsearch.Study(
        "alone",
        function=lambda params, seed: {"cost": parabola(params["x"])},
        params=past["params"],
        **options,
    ).run(tracking=False)
    led = hpsearch.Study(
        "led", function=lambda params, seed: {"cost": parabola(params["x"])}, **past, **options
    ).run(tracking=False)
    assert [trial.number for trial in led.trials] == list(range(8))
    values = [[float(trial.value or 0) for trial in study.trials] for study in (alone, led)]
    assert max(values[1]) < 0.05 < max(values[0])
    assert led.reproduce().identical


def test_conditional_parameters(url: str) -> None:
    """A parameter that goes with a choice gets that as its condition, and every trial comes."""

    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("which", [True, False, 2]) is True:
            return trial.suggest_float("x", 0, 1) * trial.suggest_categorical("y", [1, 2])
        return 2.0

    old = optimized(url, objective, trials=20)
    past = hpsearch.import_optuna(url, "old", points=100)
    assert past["params"]["x"] == Float(0, 1, when={"params.which": [True]})
    assert past["params"]["y"] == Choice([1, 2], when={"params.which": [True]})
    assert len(old.trials) == len(past["history"])
    assert {"params.which": False} in past["enqueue"]
    assert len(past["enqueue"]) < len(old.trials), "equal points come once"
    hpsearch.Study("new", function="m:f", metrics=["cost"], sampler="tpe", **past)


def test_a_parameter_that_no_choice_explains(url: str) -> None:
    """The trials that have no value for it are left out of the history, not of the best points."""

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return x + trial.suggest_float("y", 0, 1) if trial.number % 2 else x

    optimized(url, objective, trials=6)
    past = hpsearch.import_optuna(url, "old", points=100)
    assert past["params"] == {"x": Float(0, 1), "y": Float(0, 1)}
    assert (len(past["history"]), len(past["enqueue"])) == (3, 6)
    hpsearch.Study("new", function="m:f", metrics=["cost"], sampler="tpe", **past)


def test_a_long_study_is_what_a_sampler_is_shown_of_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best and the newest of its trials, in their order."""
    monkeypatch.setattr("hpsearch.search.past.WINDOW", 8)
    monkeypatch.setattr("hpsearch.search.past.BEST", 3)
    old = optimized(url, lambda trial: trial.suggest_float("x", 0, 1), trials=30)
    best = sorted(range(30), key=lambda number: old.trials[number].value or 0)[:3]
    expected = sorted({*best, *range(25, 30)})
    history = hpsearch.import_optuna(url, "old")["history"]
    assert [old.trials[number].value for number in expected] == [one["value"] for one in history]


def test_range_that_changed(url: str) -> None:
    """It becomes all that it ever was; what cannot be joined is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimized(url, lambda trial: trial.suggest_float("x", -trial.number, 1))
    assert hpsearch.import_optuna(url, "old")["params"] == {"x": Float(-11, 1)}


def test_nothing_is_changed(url: str, tmp_path: Path) -> None:
    """The old storage stays as it is, and none is made where there was none."""
    optimized(url, usual)
    before = (tmp_path / "optuna.db").read_bytes()
    hpsearch.import_optuna(url, "old")
    assert before == (tmp_path / "optuna.db").read_bytes()
    with pytest.raises(StoreOpenError, match="there is no such file"):
        hpsearch.import_optuna(f"sqlite:///{tmp_path / 'none.db'}", "old")
    assert not (tmp_path / "none.db").exists()


def two(trial: optuna.Trial) -> tuple[float, float]:
    """Two objectives."""
    x = trial.suggest_float("x", 0, 1)
    return x, -x


def never(trial: optuna.Trial) -> float:
    """No value."""
    raise optuna.TrialPruned


@pytest.mark.parametrize(
    ("objective", "options", "said"),
    [
        (two, {"directions": ["minimize", "maximize"]}, "'old' has 2 objectives; a study here has"),
        (never, {}, "'old' has no COMPLETE trial to take over"),
    ],
)
def test_what_cannot_be_taken_over(
    url: str, objective: Objective, options: dict[str, Any], said: str
) -> None:
    """It is refused in one line."""
    optimized(url, objective, trials=2, **options)
    with pytest.raises(UsageError) as raised:
        hpsearch.import_optuna(url, "old")
    assert said == str(raised.value)[: len(said)]


def test_no_such_study(url: str) -> None:
    """A name that the storage does not hold, and what is no storage at all."""
    optimized(url, usual, trials=1)
    with pytest.raises(UnknownStudyError, match="holds no study 'young'"):
        hpsearch.import_optuna(url, "young")
    with pytest.raises(StoreOpenError, match="is no address"):
        hpsearch.import_optuna("optuna.db", "old")


def test_no_storage(tmp_path: Path) -> None:
    """A file of another kind is refused in one line."""
    (tmp_path / "text.db").write_text("no database at all, though it is long enough for one" * 9)
    with pytest.raises(HpsearchError) as raised:
        hpsearch.import_optuna(f"sqlite:///{tmp_path / 'text.db'}", "old")
    assert len(str(raised.value).splitlines()) == 1
