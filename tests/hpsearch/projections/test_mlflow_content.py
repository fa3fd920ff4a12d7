"""What MLflow is told in its own terms: texts, times and who it was."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpsearch.ledger.records import Fold, State, StudyRecord, Trial, curve
from hpsearch.projections import run_content
from hpsearch.projections.mlflow_content import CLASSES, StudyContent
from hpsearch.projections.run_content import PARAMS, TAG, milliseconds, text
from hpsearch.study import file as study_file
from hpsearch.study.config import Study
from tests.conftest import study

PARAMS_OF = {"network.dropout": 0.25, "training.lr": 0.5}


def record(of: Study, **changes: Any) -> StudyRecord:
    """A study in the ledger."""
    found = StudyRecord(
        id=1,
        incarnation="a",
        study=of,
        metrics=tuple(of.metrics),
        created=1.5,
        folder=None,
        data_digests={"dataset": "d" * 64, "train": "a" * 64},
        data_facts={},
        mlflow_run_id=None,
        mlflow_summary=None,
        reproduced=None,
        ended=None,
        openings=(),
    )
    return replace(found, **changes)


def content(**changes: Any) -> StudyContent:
    """What the runs of a study hold."""
    return StudyContent(record(study(**changes)))


def trial(**changes: Any) -> Trial:
    """A trial that completed."""
    found = Trial(
        number=3,
        state=State.COMPLETE,
        value=0.5,
        params=PARAMS_OF,
        epochs=2,
        seed=7,
        attempts=1,
        started=2.0,
        ended=3.5,
        weights_sha256="w",
        mlflow_run_id=None,
        reason=None,
        rungs={},
        environment="e",
        in_optuna=False,
        in_mlflow=False,
    )
    return replace(found, **changes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.1, "0.1"), (1, "1"), (True, "true"), ([8, 4], "[8, 4]"), ("relu", "relu")],
)
def test_text_is_read_back(value: object, expected: str) -> None:
    """A number is the shortest text of its bits, a list its JSON, and a word itself."""
    assert expected.replace(" ", "") == text(value).replace(" ", "")  # type: ignore[arg-type]


def test_long_text_is_cut_where_mlflow_would() -> None:
    """At 6000 characters."""
    assert text("x" * 6001) == "x" * 6000


def test_times_are_whole_milliseconds() -> None:
    """Rounded to the nearest: the same second gives the same number every time."""
    assert (milliseconds(1.5), milliseconds(1.0004), milliseconds(1.0006)) == (1500, 1000, 1001)


def test_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container a user may be a number, and elsewhere not even that."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert run_content._user() == "ada"

    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.setattr(os, "getuid", lambda: 1234, raising=False)
    assert run_content._user() == "1234"
    monkeypatch.delattr(os, "getuid")
    assert run_content._user() == "unknown"


def test_what_is_fixed_and_what_is_searched() -> None:
    """All of the study by path, but for its number of trials and what a person enqueues: params
    cannot change, and those may."""
    of = content(search__enqueue=[{"training.lr": 0.5}])
    fixed = of.fixed()
    assert fixed["data.dataset"] == "digits"
    assert fixed["training.epochs"] == "3"
    assert (fixed["search.sampler"], fixed["search.lag"]) == ("random", "4")
    left = {"search.trials", "search.enqueue", "search.history"}
    assert not left & fixed.keys()
    assert not [value for value in fixed.values() if value == "null"]
    assert of.space().keys() == {"network.dropout", "training.lr"}
    assert json.loads(of.space()["network.dropout"]) == {"low": 0.0, "high": 0.5}
    assert of.params() == {**fixed, **of.space()}
    assert "compute.profile" not in fixed
    assert content(compute__profile="portable").fixed()["compute.profile"] == "portable"


def test_all_of_a_trials_run() -> None:
    """Its name as wide as the budget's last, its times, tags and params, and its curve by epoch."""
    of = content(search__trials=11)
    rows = curve([(1.0, 0.1, 2.0, 0.2), (0.5, 0.3, 1.0, 0.5)])
    run = of.run(trial(), rows, np.array([0.9, 0.8, 0.7]), parent="above", commit="c")
    assert (run.name, run.start, run.end) == ("trial 03", 2000, 3500)
    assert content(search__trials=10).run(trial(), rows).name == "trial 3"
    assert of.run(trial(ended=None), rows).end == 2000
    assert run.params == {"network.dropout": "0.25", "training.lr": "0.5", "seed": "7"}
    assert run.shared["training.epochs"] == "3"
    assert not [key for key in run.shared if key.startswith("search.")]
    found = {name: (at.tolist(), of.tolist()) for name, (at, of) in run.series.items()}
    assert found == {
        "train_loss": ([1, 2], [1.0, 0.5]),
        "train_accuracy": ([1, 2], [0.1, 0.3]),
        "val_loss": ([1, 2], [2.0, 1.0]),
        "val_accuracy": ([1, 2], [0.2, 0.5]),
        "step_loss": ([1, 2, 3], [0.9, 0.8, 0.7]),
        "fold_value": ([], []),
        "value": ([0], [0.5]),
    }
    assert {
        "mlflow.parentRunId": "above",
        "hpsearch.number": "3",
        "hpsearch.state": "COMPLETE",
        "hpsearch.seed": "7",
        "hpsearch.weights_sha256": "w",
        "hpsearch.environment": "e",
        "mlflow.source.git.commit": "c",
        "hpsearch.ledger": "1.5",
    }.items() <= run.tags.items()
    folds = of.run(trial(folds=(Fold(1, 1, 0.25), Fold(1, 1, 0.75)), value=None), rows).series
    assert [part.tolist() for part in folds["fold_value"]] == [[1, 2], [0.25, 0.75]]
    assert "value" not in folds


def test_what_is_not_known_is_no_tag() -> None:
    """A failed trial has no weights, and one that has just begun no environment."""
    bare = trial(state=State.FAIL, weights_sha256=None, environment=None, reason="x" * 9000)
    tags = content().tags_of(bare)
    left = {"hpsearch.weights_sha256", "hpsearch.environment", "mlflow.parentRunId"}
    assert not left & tags.keys()
    assert tags["hpsearch.reason"] == "x" * TAG


def test_params_have_a_bounded_number() -> None:
    """What all trials have in common fills up what MLflow takes, and no more."""
    of = content()
    of.__dict__["_shared"] = [(str(n), "") for n in range(200)]
    run = of.run(trial(), curve())
    assert len(run.params) + len(run.shared) == PARAMS


def test_what_was_not_measured_is_no_point() -> None:
    """Where a study measures now and then; elsewhere a value that is no number is one."""
    rows = curve([(1.0, 0.1, np.nan, np.nan), (0.5, 0.3, 1.0, 0.5)])
    series = content(training__measure=2).run(trial(), rows).series
    assert [part.tolist() for part in series["val_loss"]] == [[2], [1.0]]
    assert series["train_loss"][0].tolist() == [1, 2]
    assert content().run(trial(), rows).series["val_loss"][0].tolist() == [1, 2]


def test_tags_of_ones_own() -> None:
    """As long as a tag may be; none of those by which a run is found."""
    own = {"team": "x" * 9000, "hpsearch.number": "5", "mlflow.user": "me"}
    common = content(tracking__tags=own).common()
    assert common["team"] == "x" * TAG
    assert "hpsearch.number" not in common
    assert common["mlflow.user"] == run_content._user()


def test_its_files() -> None:
    """A study file of the trial alone, where it has all its values and one can ask for it; and what
    the training printed, if it did."""
    of = content()
    files = of.files(trial())
    assert files.keys() == {"config.toml"}
    assert "lr = 0.5" in files["config.toml"]
    assert of.files(trial(params={"training.lr": 0.5})) == {}
    assert of.files(trial(params={}), b"said \xff") == {"log.txt": "said \ufffd"}
    given = {"study": "small", "seeds": [7], "configurations": [{"values": PARAMS_OF}]}
    table = study().definition() | {"search": {"sampler": "given"}}
    for part, name, written in (("validation", "confirm", True), ("test", "test", False)):
        metric = "val_accuracy" if written else "test_accuracy"
        own = table | {"search": {"sampler": "given", "metric": metric}}
        parsed = study_file.parse(own | {"name": f"small/{name}", "given": given | {"part": part}})
        assert bool(StudyContent(record(parsed)).files(trial())) is written


def test_its_data() -> None:
    """Its name, its digests by part, and of many classes the first."""
    facts = {"classes": [str(n) for n in range(CLASSES + 5)], "sizes": {"train": 60}}
    described: Any = StudyContent(record(study(), data_facts=facts)).dataset()
    assert (described.dataset.name, described.dataset.digest) == ("digits", "d" * 36)
    profile = json.loads(described.dataset.profile)
    assert (profile["dataset_sha256"], profile["train_sha256"]) == ("d" * 64, "a" * 64)
    assert (profile["classes"], profile["sizes"]) == (facts["classes"][:CLASSES], {"train": 60})
    assert json.loads(described.dataset.source) == {"uri": "digits"}
    own = {"function": "a:b", "metrics": ["loss"]}
    for objective, name in ((own, "a:b"), ({"command": ["x"], "metrics": ["loss"]}, "command")):
        params = {"x": {"low": 0.0, "high": 1.0}}
        parsed = study_file.parse({"name": "own", "objective": objective, "params": params})
        told: Any = StudyContent(record(parsed, data_digests={})).dataset()
        assert (told.dataset.name, told.dataset.digest) == (name, "")


def test_what_its_table_shows_first() -> None:
    """The metric that ranks, the value, and what is searched; the best on top."""
    shown = ["metrics.`val_accuracy`", "metrics.`value`"]
    searched = ["params.`network.dropout`", "params.`training.lr`"]
    assert content().columns == shown + searched
    assert content(training__repeats=3).columns == ["metrics.`value`", *searched]
    view = json.loads(content().tags["mlflow.sharedViewState.hpsearch"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`val_accuracy`", False)
    losses = json.loads(content(search__metric="val_loss").tags["mlflow.sharedViewState.hpsearch"])
    assert losses["orderByAsc"] is True
