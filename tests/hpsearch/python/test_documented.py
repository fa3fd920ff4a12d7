"""The Python that README and docs show runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

ROOT = Path(__file__).parents[3]


def shown(file: str, section: str) -> list[str]:
    """The Python in a section of a document, piece by piece."""
    text = (ROOT / file).read_text()
    start = text.index(f"\n{section}\n") if section else 0
    level = section.partition(" ")[0] or "#"
    end = re.search(rf"^{level} ", text[start + len(section) + 2 :], re.M) if section else None
    whole = text[start : start + len(section) + 2 + end.start()] if end else text[start:]
    return re.findall(r"```python\n(.*?)```", whole, re.S)


def ran(program: str, folder: Path) -> str:
    """What a script prints, run in a folder."""
    (folder / "script.py").write_text(program)
    ended = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_readme(home: Path, tmp_path: Path) -> None:
    """The Python of the README."""
    (program,) = shown("README.md", "")
    assert "quick-best.png" in ran(program, tmp_path)


@pytest.mark.usefixtures("home")
def test_docs(tmp_path: Path) -> None:
    """All of docs/python.md, one piece after another."""
    module, study, past = shown("docs/python.md", "")
    (tmp_path / "forest.py").write_text(module)
    old = optuna.create_study(storage=f"sqlite:///{tmp_path / 'optuna.db'}", study_name="old")
    old.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=3)
    quick = study.replace("workers=2", "workers=2, tracking=False")
    ran(f"{quick}{past}study.run(trials=3, workers=0, tracking=False)\n", tmp_path)


@pytest.mark.usefixtures("home")
def test_optuna(tmp_path: Path) -> None:
    """All of docs/optuna.md, one piece after another; it prints what its comments say."""
    pieces = shown("docs/optuna.md", "")
    said = re.findall(r"^print.*# (\d+)", "".join(pieces), re.M)
    assert ran("".join(pieces), tmp_path).split() == said
