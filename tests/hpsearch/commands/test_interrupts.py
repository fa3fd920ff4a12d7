"""A signal ends a command, wherever it meets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOST = """
import os, signal, sys, time
from hpsearch.commands.interrupts import ending

number = int(sys.argv[1])

class Drops:
    def __del__(self):
        os.kill(os.getpid(), number)
        time.sleep(0.01)

with ending():
    Drops()
    time.sleep(60)
    print("went on")
"""

IN_ORDER = """
import os, signal, sys, time
from hpsearch.commands.interrupts import ending

with ending():
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(60)
    finally:
        time.sleep(0.5)
        print("in order")
"""


@pytest.mark.parametrize("number", [2, 15])
def test_one_that_is_dropped_comes_again(number: int) -> None:
    """Python drops what is raised in a destructor."""
    told = subprocess.run([sys.executable, "-c", LOST, str(number)], capture_output=True)
    assert (told.returncode, told.stdout, told.stderr) == (128 + number, b"", b"")


@pytest.mark.parametrize("number", [2, 15])
def test_what_is_put_in_order_is_not_disturbed(number: int) -> None:
    """However long it takes."""
    told = subprocess.run([sys.executable, "-c", IN_ORDER, str(number)], capture_output=True)
    assert (told.returncode, told.stdout, told.stderr) == (128 + number, b"in order\n", b"")
