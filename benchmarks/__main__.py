"""All measurements, one after another, each in a process of its own: ``python -m benchmarks``."""

import subprocess
import sys

MODULES = {
    "network": ["--quick"],
    "passes": [],
    "tracking": [],
    "study": ["--repeat", "5"],
    "plan": ["book", "quick"],
    "seam": [],
    "trust": [],
}
"""What is measured, and how much of it in ten minutes."""

for module, options in MODULES.items():
    command = [sys.executable, "-m", f"benchmarks.{module}", *options]
    print(f"== python -m {' '.join(command[2:])}", flush=True)
    subprocess.run(command, check=True)
    print(flush=True)
