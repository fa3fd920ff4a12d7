"""What the command line says of a study's data, and keeps of it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from hpsearch.data.datasets import load
from hpsearch.study import file as study_file
from tests.conftest import Run, study
from tests.hpsearch.command_line import Call, one_line


@pytest.fixture
def twice(tmp_path: Path) -> str:
    """A study file whose data holds each example twice, with labels 5, 15 and 25."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.integers(0, 3, 60) * 10 + 5
    np.savez(tmp_path / "twice.npz", x=np.tile(x, (2, 1)), y=np.tile(y, 2))
    described = study(
        data__dataset=f"npz:{tmp_path / 'twice.npz'}",
        data__train=60,
        data__validation=30,
        search__trials=1,
        training__epochs=1,
    )
    path = tmp_path / "twice.toml"
    path.write_text(study_file.toml(described))
    return str(path)


def test_run_says_what_is_equal_and_keeps_it(hpsearch: Run, twice: str, home: Path) -> None:
    """A line for duplicates and one for the classes, when a study begins; both are kept."""
    ran = hpsearch("run", twice, "--no-tracking", "--workers", "1")
    assert ran.returncode == 0, ran.stderr
    assert "hpsearch: 3 classes: 5, 15, 25\n" in ran.stderr
    (line,) = [line for line in ran.stderr.splitlines() if "validation examples" in line]
    assert "of 30 validation examples are duplicates of training examples" in line
    with sqlite3.connect(home / "studies.db") as connection:
        ((kept,),) = connection.execute("SELECT data_digests FROM hpsearch_studies")
    assert json.loads(kept)["facts"]["classes"] == ["5", "15", "25"]
    assert 0 < json.loads(kept)["facts"]["duplicates"]["validation"] <= 30
    assert hpsearch("reproduce", "small").returncode == 0
    assert hpsearch("data", "small").stdout == hpsearch("data", twice).stdout != ""


def test_together_leaves_nothing_to_say(hpsearch: Run, twice: str) -> None:
    """With ``data.duplicates = "together"`` no part has what another has."""
    change = ("--set", "data.duplicates=together", "--no-tracking", "--workers", "1")
    ran = hpsearch("run", twice, *change)
    assert ran.returncode == 0, ran.stderr
    assert "examples are equal" not in ran.stderr
    refused = hpsearch("run", twice, "--no-tracking")
    assert refused.returncode == 2
    assert 'data.duplicates: stored "together", now nothing' in refused.stderr


SEALS = """species,mass,colour,length
ringed,55.5,grey,1.2
grey,170,grey,2.1
harbour,,brown,1.6
ringed,61,brown,1.3
ringed,61,brown,1.3
"""


@pytest.fixture
def seals(tmp_path: Path) -> str:
    """A dataset of five seals, of which one lacks its mass and one is there twice."""
    (tmp_path / "seals.csv").write_text(SEALS)
    return f"csv:{tmp_path / 'seals.csv'}#species"


def test_data_tells_what_was_understood(call: Call, seals: str) -> None:
    """Columns, classes and their balance, missing values, duplicates and the digest."""
    outcome = call("data", seals)
    assert (outcome.code, outcome.err) == (0, "")
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert f"{seals}: 5 examples of 3" == lines[0]
    assert "mass 55.5 to 170 1" in lines
    assert "colour 2 categories: brown, grey 0" in lines
    assert "ringed 3 60.0%" in lines
    assert "missing values: 1" in lines
    assert "duplicate examples: 1" in lines
    assert f"sha256: {load(seals).digest}" == lines[-1]


def test_data_as_json(call: Call, seals: str) -> None:
    """The same as one document."""
    told = call("data", seals, "--json").json
    assert told["classes"] == {"grey": 1, "harbour": 1, "ringed": 3}
    assert told["columns"][1] == {"name": "colour", "categories": ["brown", "grey"], "missing": 0}
    assert tuple(told[key] for key in ("examples", "shape", "missing", "equal")) == (5, [3], 1, 1)
    assert load(seals).digest == told["sha256"]


def test_data_of_a_study_tells_its_parts(call: Call, twice: str) -> None:
    """A study file, or its name, stands for its data: how many in each part, and how many equal."""
    told = call("data", twice, "--json").json
    assert told["parts"]["sizes"] == {"train": 60, "validation": 30, "test": 30}
    assert told["equal"] == 60
    assert 0 < told["parts"]["duplicates"]["validation"] <= 30
    assert "validation 30" in " ".join(call("data", twice).out.split())
    assert "train 400 0 validation 100 0" in " ".join(call("data", "book").out.split())


def test_data_of_many_classes_is_cut(call: Call, tmp_path: Path) -> None:
    """Only the first twenty classes and columns are printed; JSON has them all."""
    np.savez(tmp_path / "many.npz", x=np.arange(60)[:, None], y=np.arange(60) % 30)
    spec = f"npz:{tmp_path / 'many.npz'}"
    assert "and 10 more; --json shows all" in call("data", spec).out
    assert len(call("data", spec, "--json").json["classes"]) == 30


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mass,length\n1,2\n", "no column 'species' (there: mass, length)"),
        ("species,mass\na,1\nb\n", "line 3 has 1 cells, and the first line has 2"),
        ("species,mass\n", "contains no examples"),
        ("species,mass\na,1\na,2\n", "every label is a"),
    ],
)
def test_bad_csv_is_one_line_and_2(call: Call, tmp_path: Path, text: str, problem: str) -> None:
    """A CSV file that cannot be learned from is refused, by ``data`` and by ``run`` alike."""
    path = tmp_path / "bad.csv"
    path.write_text(text)
    file = tmp_path / "bad.toml"
    file.write_text(study_file.toml(study(data__dataset=f"csv:{path}#species")))
    for command in (["data", f"csv:{path}#species"], ["run", str(file), "--no-tracking"]):
        outcome = call(*command)
        assert outcome.code == 2
        assert problem in one_line(outcome)


def test_a_study_of_a_csv_file_runs_and_reproduces(
    hpsearch: Run, tmp_path: Path, home: Path
) -> None:
    """Text, numbers, missing values and names: the same digest with one worker and with three."""
    rng = np.random.default_rng(3)
    rows = [
        f"{'ringed' if mass < 100 else 'grey'},{mass:.1f},{rng.choice(['brown', 'white', ''])}"
        for mass in rng.normal(100, 30, 120)
    ]
    (tmp_path / "seals.csv").write_text("\n".join(["species,mass,colour", *rows]))
    described = study(data__dataset=f"csv:{tmp_path / 'seals.csv'}#species", data__missing="mean")
    file = tmp_path / "seals.toml"
    file.write_text(study_file.toml(described))
    digests = set()
    for workers, name in ((1, "one"), (3, "three")):
        words = ("--workers", str(workers), "--name", name, "--no-tracking")
        ran = hpsearch("run", str(file), *words)
        assert ran.returncode == 0, ran.stderr
        assert "hpsearch: 2 classes: grey, ringed" in ran.stderr
        digests.add(hpsearch("digest", name).stdout)
    assert len(digests) == 1
    assert hpsearch("reproduce", "three").returncode == 0


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A study file that learns a number of two others, up to noise."""
    rng = np.random.default_rng(5)
    length, girth = rng.normal(1.5, 0.3, 200), rng.normal(1, 0.2, 200)
    mass = 70 * length * girth**2 + rng.normal(0, 2, 200)
    rows = [f"{a:.3f},{b:.3f},{m:.2f}\n" for a, b, m in zip(length, girth, mass, strict=True)]
    (tmp_path / "seals.csv").write_text("length,girth,mass\n" + "".join(rows))
    described = study(
        data__dataset=f"csv:{tmp_path / 'seals.csv'}#mass",
        data__task="regression",
        data__train=100,
        data__validation=50,
        training__epochs=30,
        training__lr={"low": 0.01, "high": 0.3, "log": True},
        network__dropout=0.0,
        search__trials=4,
    )
    path = tmp_path / "weights.toml"
    path.write_text(study_file.toml(described))
    return str(path)


def test_a_regression_runs_and_reproduces(hpsearch: Run, tmp_path: Path, weights: str) -> None:
    """Its metrics are losses and R², the default one R² of validation; bits do not depend on
    workers, and the best trial learns."""
    digests = set()
    for workers, name in ((1, "one"), (3, "three")):
        ran = hpsearch("run", weights, "--workers", str(workers), "--name", name, "--no-tracking")
        assert ran.returncode == 0, ran.stderr
        digests.add(hpsearch("digest", name).stdout)
    assert len(digests) == 1
    best = json.loads(hpsearch("best", "one", "--json").stdout)
    assert best["value"] > 0.9
    last = json.loads(hpsearch("curve", "one", "--json").stdout)["epochs"][-1]
    assert list(last) == ["epoch", "train_loss", "train_r2", "val_loss", "val_r2"]
    assert best["value"] == last["val_r2"]
    assert hpsearch("reproduce", "one").returncode == 0
    assert hpsearch("verify", "one").returncode == 0
    reported = hpsearch("report", "one", "--out", str(tmp_path / "report"))
    assert reported.returncode == 0, reported.stderr


def test_a_regression_without_epochs(hpsearch: Run, weights: str) -> None:
    """The first weights have a value, too, and it reproduces."""
    words = ("--set", "training.epochs=0", "--trials", "1", "--no-tracking")
    ran = hpsearch("run", weights, *words)
    assert ran.returncode == 0, ran.stderr
    assert hpsearch("reproduce", "small").returncode == 0


def test_a_regression_has_no_accuracy(call: Call, weights: str) -> None:
    """A metric that the task does not report is refused, with the nearest one that is."""
    outcome = call("run", weights, "--set", "search.metric=val_accuracy", "--no-tracking")
    assert outcome.code == 2
    assert 'search.metric: "val_accuracy" is not a metric of this study' in one_line(outcome)


def test_data_of_a_regression(call: Call, weights: str) -> None:
    """The range of the labels stands in place of the classes."""
    spec = study_file.load(Path(weights)).data.dataset
    for command in ([weights], [spec, "--task", "regression"]):
        told = call("data", *command, "--json").json
        assert (told["classes"], told["examples"]) == ({}, 200)
        assert told["target"][0] < 100 < told["target"][1]
        assert "labels: " in call("data", *command).out
    assert call("data", spec).code == 2, "numbers are no classes"
    assert "--task clustering: use" in one_line(call("data", spec, "--task", "clustering"))
