"""No thread that asks a database is the one to load SQLAlchemy's ORM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WATCHED = """
import sys, threading
from hpsearch.work.launch import _Process

begin = threading.Thread.start

def start(thread):
    reads = thread._target is not None and thread._target.__name__ == "_read"
    if not reads and threading.current_thread() is threading.main_thread():
        orm = sys.modules.get("sqlalchemy.orm")
        whole = orm is not None and not getattr(orm.__spec__, "_initializing", False)
        print("loaded" if whole else "NOT LOADED", thread.name, flush=True)
    begin(thread)

threading.Thread.start = start
"""
FUNCTION = """
import hpsearch

def train(params, seed):
    return {"loss": params["lr"]}

study = hpsearch.Study("mine", function=train, params={"lr": hpsearch.Float(0, 1)},
                       metrics=["loss"], trials=1)
study.run(tracking=False)
"""
COMMAND = """
from hpsearch.cli import main
sys.argv = ["hpsearch", "run", "quick", "--trials", "1", "--no-tracking", "--workers", "1"]
main()
"""


@pytest.mark.parametrize("program", [FUNCTION, COMMAND], ids=["in this process", "workers"])
def test_loaded_before_threads(home: Path, tmp_path: Path, program: str) -> None:
    """A query meets it whole or not at all: half of it fails."""
    script = tmp_path / "script.py"
    script.write_text(WATCHED + program)
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "loaded projector" in ended.stdout or "loaded progress" in ended.stdout
    assert "NOT LOADED" not in ended.stdout
