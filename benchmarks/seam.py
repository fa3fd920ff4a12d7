"""What does the seam cost a trial, beyond the training itself?

    python -m benchmarks.seam [--trials N]

A command that reports three epochs, and the same program started by ``subprocess`` alone; a Python
function that yields three epochs. Each is trained as a worker trains it, to its result, without a
store. Medians; the two of a pair are run in turn, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from hpsearch.study import file as study_file
from hpsearch.training.make import trainer

SCRIPT = """#!/bin/sh
for epoch in 1 2 3; do echo '{"loss": 0.5}'; done >> "${HPSEARCH_REPORT:-/dev/null}"
"""
FUNCTION = "def train(params, seed):\n    for _ in range(3): yield {'loss': 0.5}\n"
GOALS = {"command": 20.0, "function": 2.0}
"""Milliseconds a trial, beyond the process itself."""


def trial(folder: Path, **objective: object) -> Callable[[], None]:
    """A trial of such a study, to be run again and again."""
    table = {"name": "seam", "objective": {"metrics": ["loss"], **objective}}
    study = study_file.parse(table)
    trains = trainer(study, folder, folder)

    def run() -> None:
        training = trains.train(study.resolve({}, 7))
        with closing(training):
            assert len(list(training)) == 3

    return run


def seconds(step: Callable[[], object]) -> float:
    """What a step takes."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def main() -> None:
    """Measure, and hold it against the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "script.sh"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        (folder / "mine.py").write_text(FUNCTION)
        command = trial(folder, command=["./script.sh"])
        function = trial(folder, function="mine:train")
        command(), function()
        pairs = [
            (seconds(command), seconds(lambda: subprocess.run([script], check=True)))
            for _ in range(trials)
        ]
        called = [seconds(function) for _ in range(trials)]
    whole, alone = (1000 * median(column) for column in zip(*pairs, strict=True))
    print(f"a trial of three epochs, milliseconds, median of {trials}")
    for what, spent, more in (
        ("command", whole - alone, f"{whole:.1f}, the process alone {alone:.1f}"),
        ("function", 1000 * median(called), "all of it"),
    ):
        kept = "kept" if spent <= GOALS[what] else "MISSED"
        print(f"  {what:9} {spent:7.2f}  ({more}; goal {GOALS[what]:g}: {kept})")


if __name__ == "__main__":
    main()
