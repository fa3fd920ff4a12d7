"""What does a worker do before its study is known? It imports what it will need, and waits.

``work.early`` starts it, and says through its standard input what it is to do.
"""

from __future__ import annotations

import json
import signal
import sys

from hpsearch.garbage import own_process


def main() -> None:
    """Import and look up what a worker needs; then run what the launcher says, unless it has ended.

    Which code this is, it sees first. A launcher that sees another later will not have it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the launcher
    own_process()
    from hpsearch.trust import environment

    environment.code()
    from hpsearch import cli
    from hpsearch.training import make, network  # noqa: F401
    from hpsearch.work import shelf, worker  # noqa: F401

    environment.packages()
    with environment.single_thread():
        environment.rounding()
    said = sys.stdin.buffer.readline()
    if said:
        sys.argv[1:] = json.loads(said)
        cli.main()


if __name__ == "__main__":
    main()
