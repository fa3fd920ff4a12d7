"""What does a whole search take, from the command to its last line?

    python -m benchmarks.study [--trials N] [--repeat N] [--torch PYTHON]

`hpsearch run book --workers 2`, as a process in an empty workspace: start, schemas, training, every
trial in the ledger, in Optuna's storage and in MLflow, the best trained again. Against it as many
trials in the book's own manner (float64, layers as objects, memory taken anew at each step), one
after another in one process, with no tracking at all and with as many BLAS threads as do it best;
and the same search as one writes it today with PyTorch, Optuna and MLflow (`usual.py`), where a
Python has these. And a study of one trial, without tracking in an empty workspace, and with it in
one that has been used. Wall-clock time, in turns; medians, and a warning where they are not steady.
All of them find their modules compiled, as they are once pip has installed them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.judged import against, unsteady

ENVIRONMENT = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}


def hpsearch(trials: int, *options: str, home: Path) -> float:
    """Seconds that the search takes in a workspace."""
    command = [sys.executable, "-m", "hpsearch", "run", "book", "--workers", "2"]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--trials", str(trials), *options],
        env={**ENVIRONMENT, "HPSEARCH_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start


def in_the_books_manner(trials: int) -> float:
    """Seconds that the book's manner takes, in this process."""
    cores = os.sched_getaffinity(0)
    from benchmarks.network import problems, the_books_manner

    os.sched_setaffinity(0, cores)  # that module keeps itself to one
    from threadpoolctl import threadpool_limits

    start_one = the_books_manner(problems(dropout=0.25)[0])

    def seconds(count: int, threads: int) -> float:
        with threadpool_limits(threads):
            began = time.perf_counter()
            for _ in range(count):
                start_one()()
            return time.perf_counter() - began

    seconds(1, 1)
    threads = min(range(1, len(cores) + 1), key=lambda n: seconds(3, n))
    return seconds(trials, threads)


def as_usual(python: str, trials: int) -> float:
    """Seconds that PyTorch, Optuna and MLflow take, in a process of that Python."""
    import numpy as np

    from hpsearch.data.datasets import load
    from hpsearch.data.splits import split
    from hpsearch.study import file as study_file

    here = Path(__file__).parent
    study = study_file.load(here.parent / "studies" / "book.toml", [])
    assert study.data is not None
    with tempfile.TemporaryDirectory() as folder:
        dataset = load("mnist5k", cache=Path(folder))
        parts = split(dataset, **study.data.model_dump(exclude={"dataset", "task"}))
        file = Path(folder) / "images.npz"
        np.savez(
            file,
            train_x=parts.train.x.astype(np.float32),
            train_t=parts.train.y.astype(np.int64),
            validation_x=parts.validation.x.astype(np.float32),
            validation_t=parts.validation.y.astype(np.int64),
        )
        command = [python, str(here / "usual.py"), str(file), str(trials)]
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
        return time.perf_counter() - start


def has_torch(python: str) -> bool:
    """Whether that Python has what the usual way needs."""
    needed = [python, "-c", "import torch, optuna, mlflow"]
    return subprocess.run(needed, check=False, capture_output=True).returncode == 0


def told(name: str, seconds: Sequence[float], goal: float | None = None) -> str:
    """A row of the table, and the most that it is to be."""
    row = f"  {name:<47}{median(seconds):7.2f}"
    if goal is not None:
        row += f"  ({against(median(seconds), goal)})"
    return "; ".join(filter(None, (row, unsteady(seconds))))


def compared(name: str, seconds: Sequence[float], ours: Sequence[float], goal: float) -> str:
    """A row of another way, and how many times as long it is to take at least."""
    times = median(seconds) / median(ours)
    row = f"  {name:<47}{median(seconds):7.2f}{times:7.1f} times as long"
    return "; ".join(
        filter(None, (f"{row} ({against(times, goal, least=True)})", unsteady(seconds)))
    )


def main() -> None:
    """Measure all in turns, and print their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=1, help="turns, of which the median is told")
    parser.add_argument("--torch", default=sys.executable, help="a Python with PyTorch")
    parser.add_argument("--book", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.book:
        print(in_the_books_manner(asked.trials))
        return
    ours, books, usual = list[float](), list[float](), list[float]()
    untracked, tracked = list[float](), list[float]()
    child = [sys.executable, "-m", "benchmarks.study", "--book", "--trials", str(asked.trials)]
    torch = has_torch(asked.torch)
    for _ in range(asked.repeat):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            untracked.append(hpsearch(1, "--no-tracking", home=home / "one"))
            ours.append(hpsearch(asked.trials, home=home / "all"))
            tracked.append(hpsearch(1, "--name", "one", home=home / "all"))
        said = subprocess.run(child, check=True, capture_output=True, text=True).stdout
        books.append(float(said))
        if torch:
            usual.append(as_usual(asked.torch, asked.trials))
    print(f"{asked.trials} trials of the book's search, seconds, medians of {asked.repeat}")
    print(told("hpsearch run book --workers 2, all of it", ours))
    print(compared("the book's manner, no tracking", books, ours, 6))
    if torch:
        print(compared("PyTorch, Optuna and MLflow, all of it", usual, ours, 10))
    else:
        print(f"  PyTorch, Optuna and MLflow: left out, {asked.torch} does not have all of them")
    print("one trial")
    print(told("without tracking, in an empty workspace", untracked, 1.2))
    print(told("with MLflow, in a workspace that has been used", tracked, 2.5))


if __name__ == "__main__":
    main()
