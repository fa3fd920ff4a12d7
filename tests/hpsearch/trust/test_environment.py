"""Which code and what else decided the numbers is recorded, and compared entry by entry."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.trust import environment
from hpsearch.trust.environment import NUMERIC, differences, rounds_alike
from tests.conftest import Run

HERE = {
    "machine": "x86_64",
    "numpy": "2.4.6",
    "blas": ["openblas 0.3.30 Haswell"],
    "cpu_features": ["AVX2"],
    "threads": 1,
    "optuna": "5.0.0",
    "python": "3.11.9",
    "hpsearch": "1.0",
    "system": "Linux",
    "commit": "a" * 40,
    "diff_sha256": "b" * 64,
}


def git(folder: Path, *arguments: str) -> None:
    """Have git do something, by the settings of nobody."""
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a change since its commit."""
    (tmp_path / "net").mkdir()
    (tmp_path / "hpsearch").mkdir()
    source = tmp_path / "net" / "layers.py"
    source.write_text("before\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    source.write_text("after\n")
    return tmp_path


def test_git_settings_run_nothing_and_change_nothing(checkout: Path) -> None:
    """The record of a checkout is the same, whatever programs and colours its settings name."""
    plain = environment._source(checkout)
    assert set(plain) == {"commit", "dirty", "diff_sha256", "diff"}
    ran = checkout / "ran"
    program = checkout / "program.sh"
    program.write_text(f'#!/bin/sh\ntouch {ran}\ncat "$1" 2>/dev/null\nexit 0\n')
    program.chmod(0o755)
    (checkout / ".git" / "info").mkdir(exist_ok=True)
    (checkout / ".git" / "info" / "attributes").write_text("*.py diff=mine\n")
    for setting, value in (
        ("core.fsmonitor", str(program)),
        ("diff.external", str(program)),
        ("diff.mine.textconv", str(program)),
        ("diff.mine.command", str(program)),
        ("color.ui", "always"),
        ("color.diff", "always"),
    ):
        git(checkout, "config", setting, value)
    ran.unlink(missing_ok=True)
    assert environment._source(checkout) == plain
    assert not ran.exists()


def test_change_of_the_source_is_recorded(checkout: Path) -> None:
    """Another change is another digest, and none at all is none."""
    first = environment._source(checkout)
    (checkout / "net" / "layers.py").write_text("otherwise\n")
    second = environment._source(checkout)
    assert first["commit"] == second["commit"]
    assert first["diff_sha256"] != second["diff_sha256"]
    assert (first["dirty"], "+after" in first["diff"]) == (True, True)
    (checkout / "net" / "layers.py").write_text("before\n")
    assert environment._source(checkout) == {"commit": first["commit"], "dirty": False}


def test_what_git_does_not_track_is_not_recorded(checkout: Path) -> None:
    """A diff shows files that compute a trial and that git tracks, and no others."""
    before = environment._source(checkout)
    (checkout / "net" / "secret.py").write_text("password\n")
    (checkout / "secret.env").write_text("password\n")
    assert environment._source(checkout) == before


def test_a_long_diff_has_its_digest_alone(checkout: Path) -> None:
    """What is kept has a bounded size."""
    (checkout / "net" / "layers.py").write_text("x" * environment.LONGEST)
    assert set(environment._source(checkout)) == {"commit", "dirty", "diff_sha256"}


@pytest.mark.parametrize("key", HERE)
def test_every_entry_is_compared(key: str) -> None:
    """What differs in one entry alone is named, with both of its values; nothing else is."""
    (line,) = differences({**HERE, key: "another"}, HERE)
    assert line.startswith(f"{key}: recorded ")
    assert '"another"' in line
    assert differences(HERE, HERE) == []


@pytest.mark.parametrize("key", HERE)
def test_entry_that_is_not_there_differs(key: str) -> None:
    """In the record or here."""
    less = {name: value for name, value in HERE.items() if name != key}
    assert differences(less, HERE)[0].startswith(f"{key}: recorded nothing, here ")
    assert differences(HERE, less)[0].endswith("here nothing")


@pytest.mark.parametrize("key", HERE)
def test_rounding_depends_on_these_alone(key: str) -> None:
    """Another NumPy may round otherwise; another commit may not."""
    numeric = {"machine", "numpy", "blas", "cpu_features", "threads"}
    assert set(NUMERIC) == numeric
    assert rounds_alike({**HERE, key: "another"}, HERE) is (key not in numeric)


def test_tables_are_compared_by_their_entries() -> None:
    """Of hundreds of packages, those that differ are named; a diff is left to its digest."""
    old = {**HERE, "packages": {"a": "1", "b": "1"}, "diff": "+a"}
    new = {**HERE, "packages": {"a": "1", "b": "2", "c": "3"}, "diff": "+b"}
    assert differences(old, new) == [
        'packages.b: recorded "1", here "2"',
        'packages.c: recorded nothing, here "3"',
    ]
    assert differences(HERE, new) == ["packages: recorded nothing, here 3 entries"]


def test_a_training_depends_on_its_packages() -> None:
    """Another version of what it imports may compute otherwise; of others, it may not."""
    one, other, same = (
        {**HERE, "packages": {"torch": torch, "pytest": pytest}}
        for torch, pytest in (("2.1", "8"), ("2.2", "8"), ("2.1", "9"))
    )
    assert environment.computes_alike(one, same, ["torch"])
    assert not environment.computes_alike(one, other, ["torch"])
    assert environment.computes_alike(one, other, [])
    older = {key: value for key, value in HERE.items() if key != "packages"}
    assert environment.computes_alike(older, one, ["torch"])
    assert not environment.computes_alike({**one, "numpy": "another"}, one, ["torch"])
    told = differences({**one, "commit": "another"}, other, ["torch"])
    assert told[0] == 'packages.torch: recorded "2.1", here "2.2"'


def test_those_that_decide_about_rounding_come_first() -> None:
    """They explain a difference of bits."""
    other = dict.fromkeys(HERE, "another")
    named = [line.partition(":")[0] for line in differences(other, HERE)]
    assert set(named[: len(NUMERIC)]) == set(NUMERIC)


def test_record_names_every_package_that_computes() -> None:
    """Python, NumPy, its BLAS and CPU features, Optuna, this program, and its commit in git."""
    with environment.single_thread():
        here = environment.current()
    assert {"hpsearch", "python", "optuna", "numpy", "blas", "threads"} <= here.keys()
    assert {"cpu_features", "machine", "system", "cpu"} <= here.keys()
    assert here["packages"]["numpy"] == here["numpy"]
    assert set(here["locks"]) == {"requirements.lock", "requirements-dev.lock"}
    tracked = (Path(environment.__file__).parents[2] / ".git").exists()
    assert ({"dirty", "commit"} <= here.keys()) is tracked
    assert here["threads"] == 1
    assert environment.digest(here) == environment.digest(dict(reversed(here.items())))
    for key in here:
        assert environment.digest({**here, key: "another"}) != environment.digest(here)


def test_code_is_recorded() -> None:
    """The record tells this code from any other, in a checkout or not."""
    assert environment.current()["code_sha256"] == environment.code()


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_any_change_of_the_code_shows(tmp_path: Path, change: str) -> None:
    """A file that is another, is new, is gone or has another name gives another digest."""
    for package in ("hpsearch", "net"):
        copied = shutil.ignore_patterns("__pycache__", "studies")
        shutil.copytree(environment.ROOT / package, tmp_path / package, ignore=copied)
    code = "from hpsearch.trust import environment as e; print(e.ROOT, e.code())"

    def digest() -> str:
        said = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.split()
        assert Path(said[0]) == tmp_path.resolve()
        return said[1]

    assert environment.code() == digest()
    file = tmp_path / "net" / "layers.py"
    if change == "edited":
        file.write_text(file.read_text() + "\n")
    elif change == "added":
        (tmp_path / "net" / "more.py").touch()
    elif change == "removed":
        file.unlink()
    else:
        file.rename(file.with_name("layer.py"))
    assert environment.code() != digest()


def test_the_current_folder_is_not_imported_from(
    hpsearch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules that lie about under names that this program imports break nothing, and do nothing:
    neither in the command nor in the workers that it starts."""
    names = ["net", "json", "random", "optuna", "csv", "numpy", "hashlib", "typer", "sqlalchemy"]
    for name in names:
        planted = f"import os; os.mkdir({str(tmp_path / 'imported')!r}); raise SystemExit(9)"
        (tmp_path / f"{name}.py").write_text(planted)
    monkeypatch.chdir(tmp_path)
    ended = hpsearch("run", "quick", "--trials", "2", "--workers", "1", "--no-tracking")
    assert (ended.returncode, (tmp_path / "imported").exists()) == (0, False), ended.stderr
