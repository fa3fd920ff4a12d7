"""``python -m hpsearch`` is the command ``hpsearch``."""

from hpsearch.cli import main

main()
