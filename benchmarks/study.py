"""What does a whole search take, from the command to its last line?

    python -m benchmarks.study [--trials N]

`hpsearch run book --workers 2`, as a process in an empty workspace: start, schemas, training, every
trial in the ledger, in Optuna's storage and in MLflow, the best trained again. Against it as many
trials in the book's own manner (float64, layers as objects, memory taken anew at each step), one
after another in one process, with no tracking at all and with as many BLAS threads as do it best.
Wall-clock time; both are run in turn, so repeat it where the machine is not idle.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time


def hpsearch(trials: int) -> float:
    """Seconds that the search takes."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HPSEARCH_HOME": home}
        command = [sys.executable, "-m", "hpsearch", "run", "book", "--workers", "2"]
        start = time.perf_counter()
        subprocess.run(
            [*command, "--trials", str(trials)], env=environment, check=True, capture_output=True
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


def main() -> None:
    """Measure both, and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--book", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.book:
        print(in_the_books_manner(asked.trials))
        return
    ours = hpsearch(asked.trials)
    child = [sys.executable, "-m", "benchmarks.study", "--book", "--trials", str(asked.trials)]
    theirs = float(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    print(f"{asked.trials} trials of the book's search, seconds")
    print(f"  hpsearch run book --workers 2, all of it   {ours:7.1f}")
    print(f"  the book's manner, no tracking             {theirs:7.1f}")
    print(f"  times faster                               {theirs / ours:7.1f}")


if __name__ == "__main__":
    main()
