"""What does trial *n* try?

A pure function of the study, the number and the finished trials 0 … n - lag. Optuna's samplers
decide; they are asked over a view that shows them just those trials and the one that is running,
under its real number, with a sampler, a pruner and a seed of its own.
"""

from __future__ import annotations

import warnings
from typing import Any

import optuna

from hpsearch.search.history import History
from hpsearch.search.optuna_terms import distributions, inward, outward
from hpsearch.search.pruning import pruner
from hpsearch.search.seeds import Purpose, seed
from hpsearch.search.view import NAME, View
from hpsearch.study.config import Params, Study, grid


def suggest(study: Study, history: History, number: int) -> Params:
    """Fill in what the study leaves open, for trial ``number``."""
    view = View(study, history.window(number), number, _enqueued(study, number))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # steps that do not divide a range, experimental features
        asker = optuna.Study(NAME, view, _sampler(study, number), pruner(study))
        trial = asker.ask(distributions(study))
    return {path: inward(study.space[path], trial.params[path]) for path in study.space}


def _enqueued(study: Study, number: int) -> dict[str, Any]:
    if number >= len(study.search.enqueue):
        return {}
    point = study.search.enqueue[number]
    return {path: outward(study.space[path], value) for path, value in point.items()}


def _sampler(study: Study, number: int) -> optuna.samplers.BaseSampler:
    if study.search.sampler == "grid":
        points = {
            path: [outward(open_, value) for value in grid(path, open_)]
            for path, open_ in study.space.items()
        }
        # One shuffle of the grid for the whole study; the trial's number is its place in it.
        return optuna.samplers.GridSampler(points, seed=study.search.seed % 2**32)
    own = seed(study, number, Purpose.SAMPLER) % 2**32
    if study.search.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=own, warn_independent_sampling=False)
    return optuna.samplers.RandomSampler(seed=own)
