"""``hpsearch init``: a study file to begin with, which runs as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.study import file as study_file
from tests.hpsearch.command_line import Call, one_line

ROWS = "".join(f"{i % 7},{i * i % 11},{'ab'[i % 2]},{i}\n" for i in range(40))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a table and a function in it."""
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text(f"one,two,kind,number\n{ROWS}")
    gaps = ROWS.replace("3,9,", "3,,")
    assert gaps != ROWS
    Path("gaps.csv").write_text(f"one,two,kind,number\n{gaps}")
    Path("mine.py").write_text("def train(params, seed):\n    yield {'val_loss': params['lr']}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "train"),
    [
        (("--data", "digits"), 1438),
        (("--data", "csv:table.csv#kind"), 32),
        (("--data", "csv:gaps.csv#kind"), 32),
        (("--data", "csv:table.csv#number", "--task", "regression"), 32),
        (("--function", "mine:train"), None),
    ],
)
def test_it_runs_as_it_is(
    call: Call, here: Path, options: tuple[str, ...], train: int | None
) -> None:
    """The file is a study of what was named, by the file's name; ``run`` accepts it."""
    made = call("init", "begun.toml", *options)
    assert (made.code, made.out) == (0, "begun.toml\n")
    study = study_file.load(Path("begun.toml"))
    assert study.name == "begun"
    assert (study.data.train if study.data else None) == train
    few = ("--trials", "1", "--workers", "1", "--no-tracking")
    quick = [] if train is None else ["--set", "training.epochs=1"]
    ran = call("run", "begun.toml", *few, *quick)
    assert ran.code == 0, ran.err


def test_nothing_is_overwritten(call: Call, here: Path) -> None:
    """A file that exists is left as it is."""
    Path("kept.toml").write_text("mine")
    outcome = call("init", "kept.toml", "--data", "digits")
    assert (outcome.code, "kept.toml: already exists" in one_line(outcome)) == (2, True)
    assert Path("kept.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name a dataset with --data, a function with --function, or a --from study"),
        (("--data", "digits", "--function", "mine:train"), "name a dataset with --data, a "),
        (("--function", "mine"), "--function mine: expected MODULE:FUNCTION"),
        (("--data", "csv:table.csv#other"), "other"),
        (("--data", "digits", "--task", "guess"), "--task guess: use classification or"),
    ],
)
def test_what_cannot_be_a_study(
    call: Call, here: Path, options: tuple[str, ...], said: str
) -> None:
    """One line, exit code 2, and no file."""
    outcome = call("init", "begun.toml", *options)
    assert (outcome.code, said in one_line(outcome)) == (2, True), outcome.err
    assert not Path("begun.toml").exists()
