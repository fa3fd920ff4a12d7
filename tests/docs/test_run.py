"""What README and docs show runs as it stands there, page by page, each in a folder of its own."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.docs.blocks import PAGES, ROOT, Block, blocks
from tests.hpsearch.command_line import Call
from tests.hpsearch.conftest import call, mlflow_db

__all__ = ["call", "mlflow_db"]  # fixtures

QUICK = ("README.md", "docs/python.md", "docs/optuna.md")
"""The pages that `make test` runs; `make soak` runs the others."""
RUN = [page for page in PAGES if any(not block.reason for block in blocks(page))]
SERVES = ("ui", "watch")
"""Commands that end with Ctrl-C."""
SHORT = ["--trials", "5", "--set", "training.epochs=2"]
"""Of the studies that come with hpsearch."""


@pytest.fixture
def folder(home: Path, tmp_path: Path, mlflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder such as a reader has: the examples are there, and a picture of a digit."""
    home.mkdir()
    shutil.copy(mlflow_db, home / "mlflow.db")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    Image.new("L", (28, 28)).save(tmp_path / "digit.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "page", [page if page in QUICK else pytest.param(page, marks=pytest.mark.soak) for page in RUN]
)
def test_page(page: str, folder: Path, call: Call) -> None:
    """Files are written, commands and Python run in order; a print says what its comment does."""
    names: dict[str, Any] = {"__name__": page}
    begun: set[str] = set()
    for block in blocks(page):
        if block.reason or block.language == "text":
            continue
        if block.file:
            (folder / block.file).write_text(block.text)
        elif block.language == "python":
            printed = io.StringIO()
            with redirect_stdout(printed):
                exec(compile(block.text, page, "exec"), names)
            said = re.findall(r"^print\(.*\)  # ([^:\n]+)", block.text, re.MULTILINE)
            assert set(said) <= set(printed.getvalue().splitlines())
        elif not block.language:
            run(block, call, begun)


def run(block: Block, call: Call, begun: set[str]) -> None:
    """The commands of a block; before the first that needs the study `book`, that is run."""
    for program, *arguments in block.commands:
        if program != "hpsearch" or arguments[0] in SERVES:
            continue
        short = SHORT if arguments[:2] == ["run", "book"] else []
        if "book" in arguments[1:2] and not begun and arguments[0] not in ("run", "plan"):
            call("run", "book", *SHORT)
        begun.update(arguments[1:2])
        outcome = call(*arguments, *short)
        assert outcome.code == 0, f"hpsearch {' '.join(arguments)}: {outcome.err}"
