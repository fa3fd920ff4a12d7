"""The command ``hpsearch``, and ``python -m hpsearch``: a process of hpsearch's own."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the current folder: what lies there is data, and no part of this program

from hpsearch.garbage import own_process


def main() -> None:
    """Run the command line in a process that is there for nothing else."""
    own_process()
    from hpsearch import cli

    cli.main()


if __name__ == "__main__":
    main()
