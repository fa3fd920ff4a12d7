"""Several trainings make one trial: what it comes to, and what is kept of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.errors import StudyFileError
from hpsearch.ledger.leases import Claim
from hpsearch.ledger.records import Fold, Result, State, mean_of
from hpsearch.search.history import History
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, Study, TrialConfig
from hpsearch.study.folds import each
from hpsearch.training.folds import FoldedTrainer
from hpsearch.training.local import LocalTrainer
from hpsearch.training.make import folded, trainer
from hpsearch.work.worker import evaluate
from tests.conftest import study

Ended = Callable[..., Result]
SANE: Params = {"training.lr": 0.1, "network.dropout": 0.25}


def split(**changes: Any) -> Study:
    """The small study with folds, which do not divide its examples evenly."""
    return study(data={"dataset": "digits", "train": 62, "folds": 4}, **changes)


@pytest.fixture
def ended(tmp_path: Path) -> Ended:
    """How a study's trial 0 ends."""

    def run(of: Study, params: Params = SANE) -> Result:
        made = trainer(of, Path(), tmp_path)
        result = evaluate(of, History(of), Claim(0, 7), params, made)
        assert result is not None
        return result

    return run


def test_every_example_is_validated_on_once(tmp_path: Path) -> None:
    """The folds' validation parts are the whole train part, and each trains on the others."""
    of = split()
    made = trainer(of, Path(), tmp_path)
    assert isinstance(made, FoldedTrainer)
    parts = [
        made.trainer.parts(config.data)  # type: ignore[attr-defined]
        for config in each(of.resolve(SANE, 7))
        if isinstance(config, TrialConfig)
    ]
    validated = [part.validation.rows.tolist() for part in parts]
    assert [len(rows) for rows in validated] == [16, 15, 16, 15]
    every = set().union(*validated)
    assert len(every) == 62 == sum(map(len, validated))
    for part, rows in zip(parts, validated, strict=True):
        assert every - set(rows) == set(part.train.rows.tolist())
        counts = np.bincount(part.validation.y, minlength=10)
        assert counts.max() - counts.min() <= 1  # stratified


def test_the_first_fold_is_the_split_without_folds(ended: Ended) -> None:
    """So a search with folds begins where one without them stands."""
    alone = ended(study(data={"dataset": "digits", "train": 60, "validation": 0.25}))
    folds = ended(study(data={"dataset": "digits", "train": 60, "folds": 4}))
    assert folds.curve[: len(alone.curve)].tolist() == alone.curve.tolist()
    assert folds.folds[0].value == alone.value


def test_each_fold_trains_as_it_would_alone(ended: Ended) -> None:
    """A fold's epochs and value are those of the configuration that names it."""
    of = split()
    whole, at = ended(of), 0
    for place, config in enumerate(each(of.resolve(SANE, 7)), start=1):
        assert isinstance(config, TrialConfig)
        own = of.of_trial(0, config)
        assert own.data is not None
        assert own.data.fold == place
        alone = ended(own, {})
        assert own.folds == 1
        assert alone.curve.tolist() == whole.curve[at : at + len(alone.curve)].tolist()
        assert alone.value == whole.folds[place - 1].value
        at += len(alone.curve)
    assert len(whole.curve) == at == 12


def test_the_value_is_the_mean_over_all_examples(ended: Ended) -> None:
    """Each example counts once, also where folds are of different sizes."""
    result = ended(split())
    assert [fold.weight for fold in result.folds] == [16, 15, 16, 15]
    assert result.outcomes is not None
    assert result.outcomes.shape == (62,)
    assert result.value == pytest.approx(float(result.outcomes.mean()), rel=1e-12)
    assert result.value == mean_of(result.folds)


@pytest.mark.parametrize("metric", ["val_loss", "train_accuracy"])
def test_any_metric_has_a_mean(ended: Ended, metric: str) -> None:
    """Losses have outcomes, too; a metric of the training part has none."""
    result = ended(split(search__metric=metric))
    assert result.value == pytest.approx(mean_of(result.folds))
    assert (result.outcomes is None) == (metric == "train_accuracy")


def test_repeats_have_a_seed_each(ended: Ended) -> None:
    """They train on the same parts; the first of them has the trial's own seed."""
    of = study(training__repeats=3)
    result, alone = ended(of), ended(study())
    assert [fold.epochs for fold in result.folds] == [3, 3, 3]
    assert result.curve[:3].tolist() == alone.curve.tolist()
    assert len({fold.value for fold in result.folds}) > 1
    assert result.value == pytest.approx(sum(fold.value for fold in result.folds) / 3)
    assert result.outcomes is not None
    assert result.outcomes.dtype == np.float32
    assert result.value == pytest.approx(float(result.outcomes.mean()), rel=1e-6)


def test_patience_ends_each_fold_by_itself(ended: Ended) -> None:
    """Folds may have different numbers of epochs, and each keeps its best weights."""
    result = ended(split(training__epochs=30, training__patience=1), {**SANE, "training.lr": 1.0})
    lengths = [fold.epochs for fold in result.folds]
    assert len(result.curve) == sum(lengths)
    at = 0
    for fold in result.folds:
        rows = result.curve[at : at + fold.epochs]
        assert fold.value == rows[rows[:, 2].argmin(), 3]
        at += fold.epochs


def test_a_fold_that_diverges_is_the_end(ended: Ended) -> None:
    """The trial has diverged, with the epochs that there are."""
    result = ended(split(network__init=1e30), SANE)
    assert (result.state, result.reason) == (State.PRUNED, "diverged")
    assert result.weights_sha256 is None
    assert not result.folds


def test_a_configuration_without_epochs(ended: Ended) -> None:
    """The first weights of every fold are measured."""
    result = ended(split(training__epochs=0))
    assert [fold.epochs for fold in result.folds] == [0, 0, 0, 0]
    assert result.value == mean_of(result.folds)


def test_a_pruner_sees_the_mean_after_each_fold(ended: Ended) -> None:
    """A trial that it stops has trained the folds before that, and no epoch of the next."""
    of = split(search__pruner="threshold", search__lower=2.0, search__min_epochs=2)
    result = ended(of)
    assert (result.state, result.reason) == (State.PRUNED, "threshold")
    assert [fold.epochs for fold in result.folds] == [3, 3]
    assert len(result.curve) == 6
    assert result.weights_sha256 is not None


# -- trainings of one's own


def noisy(params: Mapping[str, Any], seed: int, trial: Any) -> Iterator[dict[str, float]]:
    """As many epochs as its seed says; the last has its score."""
    rng = np.random.default_rng(seed)
    scores = rng.random(8) < params["p"]
    trial.log(f"seed {seed}")
    for _ in range(seed % 3 + 1):
        yield {"score": float(scores.mean())}
    if scores.mean() > params.get("most", 1.0):
        raise RuntimeError("too good")
    trial.outcomes(scores)


def own(**params: Any) -> tuple[Study, Any]:
    """A study of three calls a trial, and what trains it."""
    of = study_file.parse(
        {
            "name": "own",
            "objective": {"function": "__main__:noisy", "metrics": ["score"], "repeats": 3},
            "params": {"p": 0.5, **params},
            "search": {"trials": 1},
        }
    )
    assert of.objective is not None
    return of, folded(of, LocalTrainer(of.objective, Path(), noisy))


def test_a_function_is_called_with_each_seed() -> None:
    """Its repeats may have different numbers of epochs, and its log is that of all."""
    of, made = own()
    result = evaluate(of, History(of), Claim(0, 7), {}, made)
    assert result is not None
    seeds = [config.objective.seed for config in each(of.resolve({}, 7))]  # type: ignore[union-attr]
    assert seeds[0] == 7
    assert [int(seed or 0) % 3 + 1 for seed in seeds] == [fold.epochs for fold in result.folds]
    assert "".join(f"seed {seed}\n" for seed in seeds) == result.log.decode()
    assert result.value == pytest.approx(sum(fold.value for fold in result.folds) / 3)
    assert result.outcomes is not None
    assert result.outcomes.shape == (8,)


def test_a_repeat_that_fails_fails_the_trial() -> None:
    """All epochs that were reported before are kept."""
    of, made = own(most=0.0)
    result = evaluate(of, History(of), Claim(0, 7), {}, made)
    assert result is not None
    assert State.FAIL is result.state
    assert "too good" in str(result.reason)
    assert len(result.curve) == 7 % 3 + 1
    assert b"seed 7" in result.log


# -- what a study file may say


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"dataset": "digits", "train": 60, "folds": 1}}, "data.folds"),
        ({"data": {"dataset": "digits", "train": 60, "folds": 4, "fold": 5}}, "data.fold"),
        ({"data": {"dataset": "digits", "train": 60, "fold": 1}}, "data.fold"),
        ({"data__folds": 4}, "data.validation"),
        ({"training__repeats": {"choices": [1, 2]}}, "training.repeats"),
        ({"training__repeats": 0}, "training.repeats"),
    ],
    ids=str,
)
def test_what_does_not_go_together(changes: dict[str, Any], said: str) -> None:
    """One line says which key it is."""
    with pytest.raises(StudyFileError, match=f"^{said}: "):
        study(**changes)


def test_folds_and_repeats_are_one_or_the_other() -> None:
    """Both train a trial several times."""
    with pytest.raises(StudyFileError, match=r"^training\.repeats: cannot be combined"):
        split(training__repeats=2)


def test_the_mean_is_weighted() -> None:
    """A fold with more examples counts more."""
    assert pytest.approx(0.7) == mean_of([Fold(1, 3, 0.6), Fold(1, 1, 1.0)])
