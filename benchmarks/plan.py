"""Does `plan` say how long a run takes?

    python -m benchmarks.plan [STUDY]…

What `hpsearch plan STUDY --workers 1` estimates, and right after it what `hpsearch run STUDY
--workers 1` takes in an empty workspace. A machine that is busy with something else is not as busy
from one minute to the next, so both are given in CPU time, too: of all processes of the run, and as
the estimate is when it is made with a clock that shows CPU time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.judged import against
from hpsearch.study import file as study_file
from hpsearch.training.make import trainer
from hpsearch.work import plan

FACTOR = 1.5
"""By how much an estimate may be wrong, on an idle machine."""
STUDIES = ("book", "book-rounds", "quick", "weight-decay", "batchnorm")


def cpu() -> float:
    """Seconds of CPU time of this process and those that it has started and that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def estimated(name: str, clock: Callable[[], float]) -> float:
    """What ``plan`` says, by this clock."""
    plan.clock = clock
    study = study_file.load(Path("studies") / f"{name}.toml")
    with tempfile.TemporaryDirectory() as cache:
        took = plan.timed(study, trainer(study, Path("studies"), Path(cache)))
    return plan.seconds(plan.legs(study) or [], took, workers=1)


def run(name: str) -> tuple[float, float]:
    """What a run takes in an empty workspace: seconds, and those of CPU time."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "hpsearch", "run", name, "--workers", "1"]
        began = time.perf_counter(), cpu()
        environment = {**os.environ, "HPSEARCH_HOME": home}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return time.perf_counter() - began[0], cpu() - began[1]


def main() -> None:
    """Measure, and print a line for each study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", default=STUDIES, metavar="STUDY")
    print(f"{'':<14}{'seconds':^28}{'seconds of CPU time':^28}")
    head = f"{'estimated':>10}{'took':>8}{'ratio':>8}"
    print(f"{'':<14}{head}  {head}")
    for name in parser.parse_args().studies:
        clocks = (estimated(name, time.perf_counter), estimated(name, cpu))
        took = run(name)
        numbers = zip(clocks, took, strict=True)
        told = [f"{said:10.1f}{spent:8.1f}{said / spent:8.2f}" for said, spent in numbers]
        ratio = clocks[0] / took[0]
        off = against(max(ratio, 1 / ratio), FACTOR)
        print(f"{name:<14}{'  '.join(told)}  by the clock: {off}", flush=True)


if __name__ == "__main__":
    main()
