"""A finished study is carried to another workspace, and checked there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.trust import archive, container
from tests.conftest import study
from tests.hpsearch.command_line import Call, Outcome, Write, one_line
from tests.hpsearch.training.own import FUNCTION, objective


@pytest.fixture
def exported(call: Call, write: Write, tmp_path: Path) -> Path:
    """A study's archive."""
    file = tmp_path / "small.zip"
    assert call("run", write(study(search__trials=4)), "--workers", "1", "--no-tracking").code == 0
    assert call("export", "small", str(file)).code == 0
    return file


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty workspace on another path."""
    place = tmp_path / "other" / "place"
    place.mkdir(parents=True)
    monkeypatch.setenv("HPSEARCH_HOME", str(place / "home"))
    monkeypatch.chdir(place)
    return place


def test_checked_and_entered_elsewhere(
    call: Call, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All agrees there; the study that is entered has the same digest, and reproduces."""
    before = call("digest", "small").out
    place = tmp_path / "other"
    place.mkdir()
    monkeypatch.setenv("HPSEARCH_HOME", str(place / "home"))
    monkeypatch.chdir(place)
    checked = call("check", str(exported), "--reproduce", "2")
    assert checked.code == 0
    assert checked.out.count("trained again: identical") == 2
    assert "every byte and every number agrees" in checked.out
    assert "times that the test part was opened: 0" in checked.out
    assert not (place / "home").exists()
    assert call("import", str(exported)).code == 0
    assert call("digest", "small").out == before
    assert call("reproduce", "small").code == 0
    assert "already in" in one_line(call("import", str(exported)))
    assert call("import", str(exported), "--name", "again").code == 0
    assert call("digest", "again").out == before


def test_a_confirmation_keeps_its_name(call: Call, exported: Path, tmp_path: Path) -> None:
    """It is carried elsewhere as any study is, but is called after the one that it confirms."""
    file = str(tmp_path / "confirmed.zip")
    words = ("--top", "1", "--seeds", "2", "--no-tracking", "--workers", "1")
    assert call("confirm", "small", *words).code == 0
    assert call("export", "small/confirm", file).code == 0
    assert call("check", file, "--reproduce", "1").code == 0
    assert "import it without --name" in one_line(call("import", file, "--name", "other"))
    assert call("delete", "small/confirm", "--yes", "--no-tracking").code == 0
    assert call("import", file).code == 0
    assert call("best", "small").out.startswith("confirmed over 2 new seeds")


def test_a_confirmation_is_not_taken_for_another_studys(
    call: Call, exported: Path, write: Write, tmp_path: Path, elsewhere: Path
) -> None:
    """One of a study of the same name, or of none here, is not entered."""
    again = write(study(search__trials=4, search__seed=1))
    assert call("run", again, "--workers", "1", "--no-tracking").code == 0
    words = ("--top", "1", "--seeds", "2", "--no-tracking", "--workers", "1")
    assert call("confirm", "small", *words).code == 0
    file = str(tmp_path / "confirmed.zip")
    assert call("export", "small/confirm", file).code == 0
    assert call("delete", "small", "--yes", "--no-tracking").code == 0
    said = one_line(call("import", file))
    assert "'small/confirm' is of 'small', which is not in " in said
    assert call("import", str(exported)).code == 0
    assert "is of another study than the 'small' in " in one_line(call("import", file))
    assert "confirmed" not in call("best", "small").out


def test_exported_twice_it_is_the_same(call: Call, exported: Path, tmp_path: Path) -> None:
    """The same study gives the same archive; a file that is there is replaced only if asked."""
    other = tmp_path / "other.zip"
    assert call("export", "small", str(other)).code == 0
    assert other.read_bytes() == exported.read_bytes()
    said = one_line(call("export", "small", str(other)))
    assert (
        said
        == f"hpsearch: {other}: already exists; choose another name, or replace it with --force"
    )
    assert call("export", "small", str(other), "--force").code == 0


def test_json(call: Call, exported: Path, elsewhere: Path) -> None:
    """One document says what was found, and the numbers."""
    found = call("check", str(exported), "--json").json
    assert (found["ok"], found["violations"], found["study"]) == (True, [], "small")
    assert found["numbers"]["complete"] == 4
    assert found["sha256"] == archive.read(exported).sha256


def test_a_changed_curve_is_named(call: Call, exported: Path, elsewhere: Path) -> None:
    """One byte of it: exit code 3, and which trial's."""
    members, _ = container.read(exported.read_bytes(), archive.NAMES)
    content = exported.read_bytes()
    at = content.index(members["epochs.bin"]) + len(members["epochs.bin"]) // 4 + 5
    exported.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    outcome = call("check", str(exported))
    assert outcome.code == 3
    assert one_line(outcome) == f"hpsearch: {exported}: epochs.bin: the bytes of trial 1 changed"
    assert call("import", str(exported)).code == 3
    assert not (elsewhere / "home" / "studies.db").exists()


def forge(file: Path, change: Callable[[dict[str, Any], list[dict[str, Any]]], None]) -> None:
    """Write an archive that is whole, of a study with something in it changed."""
    members, _ = container.read(file.read_bytes(), archive.NAMES)
    described = json.loads(members[archive.STUDY])
    trials = [json.loads(line) for line in members[archive.TRIALS].splitlines()]
    change(described, trials)
    members[archive.STUDY] = json.dumps(described).encode()
    members[archive.TRIALS] = b"".join(json.dumps(trial).encode() + b"\n" for trial in trials)
    manifest = json.loads(members.pop(archive.MANIFEST))
    manifest["files"] = {
        name: {"bytes": len(content), "sha256": archive._sha(content)}
        for name, content in members.items()
    }
    head = {archive.MANIFEST: json.dumps(manifest).encode()}
    file.write_bytes(container.write(head | members))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s, t: t[0].update(value=0.99), "values: trial 0 has value 0.99"),
        (lambda s, t: t[0].update(value=0.99), "numbers: digest is "),
        (lambda s, t: s["numbers"].update(complete=9), "numbers: complete is 9"),
        (lambda s, t: s["numbers"].update(test_opened=9), "numbers: test_opened is 9"),
        (
            lambda s, t: s["openings"].append({"study": "t", "opened": 1.0, "result": None}),
            "numbers: test_opened is 0",
        ),
        (lambda s, t: s["numbers"].update(corrected=[1.0, 1.0, 1.0]), "numbers: corrected is "),
        (lambda s, t: s["numbers"].update(corrected=5), "numbers: corrected is 5, and "),
        (lambda s, t: s["numbers"].update(best="none"), "numbers: best is 'none', and "),
        (lambda s, t: s["numbers"].update(x="y" * 10**6), "yyy…yyy"),
        (
            lambda s, t: [trial.update(weights_sha256="a" * 64) for trial in t],
            "weights: their digest is ",
        ),
    ],
)
def test_numbers_have_to_follow_from_the_trials(
    call: Call,
    exported: Path,
    elsewhere: Path,
    change: Callable[[dict[str, Any], list[dict[str, Any]]], None],
    said: str,
) -> None:
    """An archive whose manifest agrees is not believed for that."""
    forge(exported, change)
    outcome = call("check", str(exported))
    assert outcome.code == 3
    assert said in outcome.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s, t: t[0].update(state="DONE"), "hpsearch_trials, study 'small', trial 0, state"),
        (lambda s, t: t[0].update(params={"x": 1}), "trial 0, params"),
        (lambda s, t: t[0].update(epochs="many"), "trial 0, epochs"),
        (lambda s, t: s["definition"].update(search=None), "definition: is no study"),
        (lambda s, t: s.update(budget=-1), "budget"),
        (lambda s, t: s["openings"].append("one"), "openings"),
    ],
)
def test_rows_that_are_none_are_not_entered(
    call: Call,
    exported: Path,
    elsewhere: Path,
    change: Callable[[dict[str, Any], list[dict[str, Any]]], None],
    said: str,
) -> None:
    """Neither for a look nor for good: nothing of the study stays."""
    forge(exported, change)
    for command in ("check", "import"):
        outcome = call(command, str(exported))
        assert outcome.code == 2
        assert said in one_line(outcome)
    with closing(sqlite3.connect(elsewhere / "home" / "studies.db")) as store:
        for table in ("studies", "trials", "curves", "environments"):
            assert store.execute(f"SELECT count(*) FROM hpsearch_{table}").fetchone() == (0,)


def test_a_second_training_that_differs(call: Call, exported: Path, elsewhere: Path) -> None:
    """A number that nobody's training gave is found by training again."""
    forge(exported, lambda s, t: [trial.update(seed=trial["seed"] + 1) for trial in t])
    outcome = call("check", str(exported), "--reproduce", "1")
    assert outcome.code == 3
    assert "reproduction: trial " in outcome.out


def test_data_is_found_again_by_its_digest(
    call: Call, write: Write, tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the current folder, by the file's name and its content; without it, exit code 4."""
    rng = np.random.default_rng(0)
    data = tmp_path / "data.npz"
    np.savez(data, x=rng.random((200, 4)), y=np.arange(200) % 3)
    described = write(study(data__dataset=f"npz:{data}", search__trials=2))
    file = str(tmp_path / "small.zip")
    assert call("run", described, "--workers", "1", "--no-tracking").code == 0
    assert call("export", "small", file).code == 0
    (elsewhere / "deep" / "er").mkdir(parents=True)
    (elsewhere / "deep" / "data.npz").write_text("another of that name")
    moved = data.rename(elsewhere / "deep" / "er" / "data.npz")
    assert call("check", file, "--reproduce", "2").out.count("identical") == 2
    np.savez(moved, x=rng.random((200, 4)), y=np.arange(200) % 3)
    outcome = call("check", file, "--reproduce", "2")
    assert outcome.code == 4
    assert "is neither at its place nor below the current folder" in one_line(outcome)
    assert call("check", file).code == 0


def test_nobodys_program_is_run(call: Call, write: Write, tmp_path: Path) -> None:
    """A study that trains by a command of its own is checked, but not trained, from a file."""
    described = write(objective(FUNCTION))
    source = "def train(params, seed):\n    yield {'loss': seed % 7}\n"
    (tmp_path / "mine.py").write_text(source)
    assert call("run", described, "--workers", "1", "--no-tracking").code == 0
    assert call("export", "own", str(tmp_path / "own.zip")).code == 0
    assert call("check", str(tmp_path / "own.zip")).code == 0
    outcome = call("check", str(tmp_path / "own.zip"), "--reproduce", "1")
    assert outcome.code == 2
    assert "nobody else's code is run from here" in one_line(outcome)


def test_what_cannot_be_exported(call: Call, write: Write, tmp_path: Path) -> None:
    """A study that is not there, or has no trial that ended."""
    said: Callable[[Outcome], str] = one_line
    assert call("run", write(study(search__trials=1)), "--no-tracking").code == 0
    assert "no study 'other'" in said(call("export", "other", str(tmp_path / "x.zip")))
    assert "cannot be written" in said(call("export", "small", str(tmp_path / "no" / "x.zip")))
    assert "No such file" in said(call("check", str(tmp_path / "none.zip")))
    with closing(sqlite3.connect(tmp_path / "home" / "studies.db")) as store, store:
        store.execute("UPDATE hpsearch_trials SET state = 'WAITING', ended = NULL, value = NULL")
    assert "1 of its trials have not finished" in said(
        call("export", "small", str(tmp_path / "x.zip"))
    )
