"""All measurements, one after another, each in a process of its own: ``python -m benchmarks``."""

import subprocess
import sys

for module in ("network", "tracking", "study", "plan", "seam", "trust"):
    print(f"== python -m benchmarks.{module}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{module}"], check=True)
    print(flush=True)
