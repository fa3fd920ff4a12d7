"""What do portable bits cost? Trainings with the fastest kernel, and with the portable one.

    python -m benchmarks.portable

A kernel is chosen when NumPy is loaded, so each measurement has a process of its own. The two take
turns, so that whatever else the machine does slows both; what is compared is the least CPU time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from hpsearch.study import file as study_file
from hpsearch.threads import ONE_THREAD
from hpsearch.training.make import trainer
from hpsearch.trust import compute, environment

STUDY = Path(__file__).parent.parent / "studies" / "book.toml"
TRAININGS = {
    "the book's trial": [],
    "two layers of 1,000 units": [
        "network.hidden=[1000, 1000]",
        "training.batch_size=256",
        "training.epochs=5",
    ],
}
_TURNS = 4  # processes of each kind
_TIMES = 5  # trainings in each


def main() -> None:
    """Measure both, in turns, and print the ratios."""
    asked = (compute.KERNEL, compute.DISABLED, compute.ENABLED)
    native = {key: value for key, value in os.environ.items() if key not in asked}
    described = study_file.load(STUDY, ["compute.profile=portable"])
    portable = native | compute.launching(described)
    for named, changes in TRAININGS.items():
        found: list[list[dict[str, Any]]] = [[], []]
        for _ in range(_TURNS):
            for place, variables in zip(found, (native, portable), strict=True):
                place.append(_measured(changes, variables))
        fast, slow = (min(entry["seconds"] for entry in place) for place in found)
        print(f"{named}: native {1000 * fast:.0f} ms ({', '.join(found[0][0]['blas'])})")
        print(f"    portable {1000 * slow:.0f} ms ({', '.join(found[1][0]['blas'])})")
        print(f"    ratio {slow / fast:.2f}")


def _measured(changes: list[str], variables: dict[str, str]) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.portable", "--train", *changes],
        env={**variables, **ONE_THREAD},
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def _train(changes: list[str]) -> None:
    study = study_file.load(STUDY, changes)
    trains = trainer(study, Path(), Path(".hpsearch", "cache"))
    params = {path: open_.ends()[0] for path, open_ in study.space.items()}
    config = study.resolve(params | {"training.lr": 1e-3}, 1)
    seconds = []
    with environment.single_thread():
        for _ in range(_TIMES):
            begun = time.process_time()
            with closing(trains.train(config)) as training:
                list(training)
            seconds.append(time.process_time() - begun)
        print(json.dumps({"seconds": min(seconds), "blas": environment.current()["blas"]}))


if __name__ == "__main__":
    _train(sys.argv[2:]) if sys.argv[1:2] == ["--train"] else main()
