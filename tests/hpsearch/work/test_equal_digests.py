"""One worker and three give the same bits, with every sampler and every pruner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from hpsearch.ledger.records import State
from hpsearch.study.config import SearchConfig
from tests.conftest import study
from tests.hpsearch.work.crew import digest_of, ran

SAMPLERS: dict[str, dict[str, Any]] = {
    "random": {},
    "grid": {
        "training__lr": {"choices": [0.01, 0.1, 0.5, 1.0]},
        "network__dropout": {"choices": [0.0, 0.2, 0.4]},
    },
    "qmc": {},
    "tpe": {"search__startup": 3},
    "cmaes": {"search__population": 4},
    "nsgaii": {"search__population": 4},
    "gp": {"search__startup": 3},
}
PRUNERS: dict[str, dict[str, Any]] = {
    "none": {},
    "median": {},
    "percentile": {"search__percentile": 40.0},
    "halving": {"search__reduction_factor": 2},
    "pausing": {"search__reduction_factor": 2},
    "hyperband": {"search__reduction_factor": 2},
    "patient": {"search__stall": 1},
    "threshold": {"search__lower": 0.08},
    "wilcoxon": {"training__repeats": 4, "search__p_threshold": 0.3},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all studies, each under a name of its own: making it takes longer than they."""
    return tmp_path_factory.mktemp("digests")


def searched(sampler: str, pruner: str) -> Any:
    """A study of twelve trials of four epochs."""
    changes = {
        "training__epochs": 4,
        "search__trials": 12,
        "search__lag": 2,
        "search__sampler": sampler,
        "search__pruner": pruner,
    }
    return study(**changes, **SAMPLERS[sampler], **PRUNERS[pruner])


def test_none_is_missing() -> None:
    """Whoever adds a sampler or a pruner adds it here, too; given trials are never chosen."""
    fields = SearchConfig.model_fields
    assert set(get_args(fields["sampler"].annotation)) == set(SAMPLERS) | {"given"}
    assert set(get_args(fields["pruner"].annotation)) == set(PRUNERS)


def installed(samplers: Iterable[str]) -> list[Any]:
    """Samplers as parameters: one that needs PyTorch is skipped where that is not there."""
    lacking = pytest.mark.skipif(find_spec("torch") is None, reason="gp needs PyTorch")
    return [pytest.param(each, marks=[lacking] if each == "gp" else []) for each in samplers]


@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("sampler", installed(SAMPLERS))
def test_the_number_of_workers_does_not_matter(sampler: str, pruner: str, place: Path) -> None:
    """Whoever is quicker, each trial tries the same and ends the same."""
    of = searched(sampler, pruner)
    named = {workers: replace(of, name=f"{sampler} {pruner} {workers}") for workers in (1, 3)}
    digests = {digest_of(study, place, workers) for workers, study in named.items()}
    assert len(digests) == 1


SEVERAL = [sampler for sampler in SAMPLERS if sampler != "cmaes"]


@pytest.mark.parametrize("sampler", installed(SEVERAL))
def test_nor_does_it_with_several_objectives(sampler: str, place: Path) -> None:
    """Later trials look at all values of earlier ones, and every trial is the same."""
    of = study(
        network__hidden={"choices": [[4], [8], [16]]},
        training__report=["parameters"],
        search__trials=14,
        search__lag=2,
        search__sampler=sampler,
        search__also={"parameters": "minimize", "val_loss": "minimize"},
        **SAMPLERS[sampler],
    )
    named = {workers: replace(of, name=f"{sampler} several {workers}") for workers in (1, 3)}
    assert len({digest_of(study, place, workers) for workers, study in named.items()}) == 1


@pytest.mark.parametrize("pruner", [pruner for pruner in PRUNERS if pruner != "none"])
def test_each_pruner_prunes(pruner: str, place: Path) -> None:
    """The study is one in which there is something to prune."""
    of = replace(searched("random", pruner), name=f"{pruner} alone")
    store, record = ran(of, place, 1)
    counts = store.counts(record.id)
    assert counts.pruned
    assert counts.complete
    reasons = {trial.reason for trial in store.trials(record.id, [State.PRUNED])}
    assert reasons == {pruner}
