"""What the command line says of a study's data, and keeps of it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from hpsearch.study import file as study_file
from tests.conftest import Run, study


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
    assert "of 30 validation examples are equal to training examples" in line
    with sqlite3.connect(home / "studies.db") as connection:
        ((kept,),) = connection.execute("SELECT data_digests FROM hpsearch_studies")
    assert json.loads(kept)["facts"]["classes"] == ["5", "15", "25"]
    assert 0 < json.loads(kept)["facts"]["duplicates"]["validation"] <= 30
    assert hpsearch("reproduce", "small").returncode == 0


def test_together_leaves_nothing_to_say(hpsearch: Run, twice: str) -> None:
    """With ``data.duplicates = "together"`` no part has what another has."""
    change = ("--set", "data.duplicates=together", "--no-tracking", "--workers", "1")
    ran = hpsearch("run", twice, *change)
    assert ran.returncode == 0, ran.stderr
    assert "examples are equal" not in ran.stderr
    refused = hpsearch("run", twice, "--no-tracking")
    assert refused.returncode == 2
    assert 'data.duplicates: stored "together", now nothing' in refused.stderr
