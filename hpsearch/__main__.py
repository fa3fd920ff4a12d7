"""``python -m hpsearch`` is the command ``hpsearch``."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder: what lies there is data, and no part of this program

from hpsearch.cli import main

main()
