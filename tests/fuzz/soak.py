"""Random input for some minutes: `python -m tests.fuzz.soak --minutes 10`.

Runs the tests here again and again, with many examples and others each time, until the minutes are
over or one fails. pytest then prints the example.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

COMMAND = [
    *(sys.executable, "-m", "pytest", str(Path(__file__).parent)),
    *("--quiet", "--hypothesis-profile=soak", "-p", "no:cacheprovider"),
]


def main() -> int:
    """Returns the exit code: pytest's of the first round that failed, or 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    end = time.monotonic() + 60 * parser.parse_args().minutes
    failed = 0
    while not failed and time.monotonic() < end:
        failed = subprocess.run(COMMAND, check=False).returncode
        print(f"fuzz: {max(0.0, end - time.monotonic()) / 60:.1f} min left", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
