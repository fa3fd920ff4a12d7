"""What stays is not looked through for garbage, in a process that is hpsearch's own."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch import garbage

MADE = """
import gc, sys
from hpsearch import garbage
if sys.argv[1] == "own":
    garbage.own_process()
with garbage.importing("a_module"):
    kept = [[] for _ in range(100_000)]
    off = not gc.isenabled()
frozen = gc.get_freeze_count()
sys.modules["a_module"] = sys
with garbage.importing("a_module"):
    more = [[] for _ in range(100_000)]
print(off, gc.isenabled(), frozen >= 100_000, gc.get_freeze_count() == frozen)
"""


@pytest.mark.parametrize(("whose", "kept"), [("own", "True"), ("other", "False")])
def test_what_stays_is_kept_from_the_collector(whose: str, kept: str) -> None:
    """Only where the process is hpsearch's own, and only once: later there may be garbage in it."""
    told = subprocess.run(
        [sys.executable, "-c", MADE, whose], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["True", "True", kept, "True"]


def test_a_collector_that_was_off_stays_off() -> None:
    """Whoever has turned it off has a reason."""
    gc.disable()
    try:
        with garbage.importing("a_module_that_is_not_there"):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(("main", "looks"), [("__main__", False), ("cli", True)])
def test_a_command_ends_without_a_last_look(tmp_path: Path, main: str, looks: bool) -> None:
    """Python looks for garbage when it ends, but not in a process that is a command's alone."""
    file = tmp_path / "looks.py"
    file.write_text(
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print(len(gc.get_objects())))\n"
        "sys.argv = ['hpsearch', 'studies']\n"
        f"from hpsearch.{main} import main\n"
        "main()\n"
    )
    told = subprocess.run(
        [sys.executable, "-P", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={"HPSEARCH_HOME": str(tmp_path / "home")},
    )
    assert (int(told.stdout.split()[-1]) > 1_000) is looks
