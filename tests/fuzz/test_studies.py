"""Study files: text that may be TOML, and tables that may be a study."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.search.history import History
from hpsearch.search.pruning import Pruning
from hpsearch.search.seeds import training_seed
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from hpsearch.study.config import Study
from tests.fuzz.bounds import answer, bounded, examples
from tests.fuzz.values import ANYTHING, changed

NETWORK: dict[str, Any] = {
    "name": "small",
    "data": {
        "dataset": "digits",
        "train": 60,
        "validation": 30,
        "seed": 0,
        "test": 20,
        "scaling": "none",
    },
    "network": {
        "hidden": [8],
        "activation": {"choices": ["relu", "tanh"]},
        "init": "he",
        "dropout": {"low": 0.0, "high": 0.5},
        "batch_norm": True,
    },
    "training": {
        "lr": {"low": 1e-3, "high": 1.0, "log": True},
        "optimizer": {"choices": ["sgd", "momentum"]},
        "momentum": {"low": 0.1, "high": 0.9, "when": {"training.optimizer": ["momentum"]}},
        "epochs": {"low": 3, "high": 9},
        "batch_size": {"low": 20, "high": 40, "step": 10},
        "patience": 2,
        "schedule": "cosine",
    },
    "search": {
        "trials": 6,
        "lag": 4,
        "sampler": "tpe",
        "pruner": "hyperband",
        "min_epochs": 2,
        "reduction_factor": 3,
        "metric": "val_loss",
        "direction": "minimize",
        "seed": 1,
        "enqueue": [{"training.lr": 0.1, "training": {"epochs": 4}}],
    },
    "tracking": {"experiment": "mine", "tags": {"a": "b"}},
}
GRID: dict[str, Any] = {
    "name": "grid",
    "data": {"dataset": "digits", "train": 60, "task": "regression"},
    "network": {"hidden": {"depth": {"low": 1, "high": 3}, "width": 8}},
    "training": {"lr": {"low": 0.1, "high": 0.5, "step": 0.1}, "epochs": 3},
    "search": {"sampler": "grid", "trials": 9},
}
OWN: dict[str, Any] = {
    "name": "own",
    "objective": {
        "command": ["python", "train.py", "--lr={params.lr}", "{seed}"],
        "metrics": ["val_loss", "speed"],
        "epochs": 9,
        "timeout": "3s",
        "files": ["train.py"],
        "outputs": ["model.bin"],
    },
    "params": {"lr": {"low": 0.1, "high": 1.0}, "deep": {"er": {"choices": [1, 1.0, True]}}},
    "search": {"trials": 4, "pruner": "median"},
}
GIVEN: dict[str, Any] = {
    "name": "small/confirm",
    "data": {"dataset": "digits", "train": 60},
    "network": {"hidden": [8]},
    "training": {"lr": {"low": 1e-3, "high": 1.0}, "epochs": 3},
    "search": {"sampler": "given"},
    "given": {
        "study": "small",
        "configurations": [{"trial": 3, "values": {"training.lr": 0.1}}],
        "seeds": [1, 2],
        "draws": [1, 2],
    },
}
WHOLE = (NETWORK, GRID, OWN, GIVEN)
TABLES = st.one_of(st.sampled_from(WHOLE).flatmap(changed), ANYTHING)


def runs(study: Study) -> None:
    """A study that was taken can be written, read again, and have its first trial begun."""
    again = study_file.parse(study.definition())
    assert again == study
    params = suggest(study, History(study), 0)
    seed = training_seed(study, 0)
    study.resolve(params, seed)
    Pruning(study, History(study), 0, params).stops(1, 0.5)


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: str(whole["name"]))
def test_what_is_changed_is_a_study(whole: dict[str, Any]) -> None:
    """The tables that are changed here are all right as they are."""
    runs(study_file.parse(whole))


@examples(150)
@given(table=TABLES)
def test_any_table(table: Any) -> None:
    """A table is a study that runs, or is told what is wrong with it."""
    if isinstance(table, dict) and (study := answer(lambda: study_file.parse(table))):
        with bounded():
            runs(study)


@examples(80)
@given(table=TABLES)
def test_any_file(tmp_path_factory: pytest.TempPathFactory, table: Any) -> None:
    """What can be written as TOML is read; where it is a study, it comes back the same."""
    file = tmp_path_factory.getbasetemp() / "fuzz.toml"
    try:
        file.write_text(tomli_w.dumps(table))
    except (TypeError, ValueError, AttributeError, RecursionError):  # there is no such TOML
        return
    if study := answer(lambda: study_file.load(file)):
        file.write_text(study_file.toml(study))
        assert study_file.load(file) == study


@examples(150)
@given(data=st.data())
def test_any_text(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes that were a study file until somebody edited them."""
    file = tmp_path_factory.getbasetemp() / "fuzz.toml"
    text = bytearray(tomli_w.dumps(data.draw(st.sampled_from(WHOLE))).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(at + 12, len(text))))
        text[at:end] = data.draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [b"[", b"]", b"{", b'"', b"=", b".", b"\n", b"9" * 5000, b"[" * 99]
                ),
            )
        )
    file.write_bytes(text)
    name = data.draw(st.none() | st.text(max_size=9))
    answer(lambda: study_file.load(file, name=name))


def test_fuzz_sees_both() -> None:
    """Of the changed tables some are studies and some are not: neither half is untried."""
    taken = []

    @examples(60)
    @given(table=st.sampled_from(WHOLE).flatmap(changed))
    def look(table: Any) -> None:
        if isinstance(table, dict):
            taken.append(answer(lambda: study_file.parse(table)) is not None)

    look()
    assert 0.02 < np.mean(taken) < 0.98
