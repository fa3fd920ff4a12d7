"""Which code ran is recorded, wherever it was imported from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.trust import environment
from tests.conftest import Run


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
