"""The study files' trials, trained straight away: their configurations, with other seeds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hpsearch.data import datasets
from hpsearch.data import splits as data
from hpsearch.data.splits import Splits
from hpsearch.ledger.records import Curve, curve
from hpsearch.search.history import History
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from hpsearch.study.config import NETWORK_METRICS, DataConfig, Params, Study, TrialConfig
from hpsearch.training.network import NetworkTraining
from hpsearch.trust import environment

STUDIES = Path(__file__).parents[2] / "studies"


@dataclass(frozen=True)
class Trained:
    """How one trial's training went."""

    params: Params
    curve: Curve
    steps: NDArray[np.float64]
    activations: list[NDArray[np.floating]]
    diverged: bool

    def last(self, name: str) -> float:
        """A measure after the last epoch."""
        return float(self.curve[-1, NETWORK_METRICS.index(name)])

    def gap(self, kind: str) -> float:
        """How much worse it does on the images it has not seen."""
        return abs(self.last(f"train_{kind}") - self.last(f"val_{kind}"))


def seeds(number: int) -> pytest.MarkDecorator:
    """So many seeds, of which ``make test`` takes the first, and ``make soak`` the others."""
    others = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, number)]
    return pytest.mark.parametrize("seed", [0, *others])


def load(name: str, seed: int) -> Study:
    """A study file, with another seed for its training and for what data it draws."""
    return study_file.load(STUDIES / f"{name}.toml", [f"training.seed={seed}", f"data.seed={seed}"])


def points(study: Study) -> list[Params]:
    """What the study's trials fill in, in the order of their numbers."""
    nothing = History(study)
    return [suggest(study, nothing, number) for number in range(study.search.trials)]


def trained(name: str, seed: int, **chosen: object) -> Trained:
    """The one trial of a study file that has these values, by the last part of their paths."""
    (found,) = all_trained(name, seed, **chosen)
    return found


def all_trained(name: str, seed: int, **chosen: object) -> list[Trained]:
    """All trials of a study file that have these values."""
    study = load(name, seed)
    wanted = {path: chosen[path.partition(".")[2]] for path in study.space if _key(path) in chosen}
    assert len(wanted) == len(chosen)
    matching = [p for p in points(study) if all(p[path] == wanted[path] for path in wanted)]
    return [train(study, params, seed) for params in matching]


def train(study: Study, params: Params, seed: int) -> Trained:
    """Train one trial, unless the same was trained before: studies share some."""
    resolved = study.resolve(params, seed)
    training, rows = _train(resolved.model_dump_json())
    return Trained(
        params, rows, np.array(training.steps), training.activations(), training.diverged
    )


@cache
def _train(resolved: str) -> tuple[NetworkTraining, Curve]:
    trial = TrialConfig.model_validate_json(resolved)
    with environment.single_thread():
        training = NetworkTraining(trial, _splits(trial.data.model_dump_json()))
        return training, curve(training)


@cache
def _splits(described: str) -> Splits:
    d = DataConfig.model_validate_json(described)
    return data.split(_dataset(d.dataset), **d.model_dump(exclude={"dataset", "task"}))


@cache
def _dataset(name: str) -> datasets.Dataset:
    return datasets.load(name)


def _key(path: str) -> str:
    return path.partition(".")[2]
