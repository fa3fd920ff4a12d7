"""How far off are the numbers that a search ends with, where the truth is known?

    python -m benchmarks.trust [--studies 200] [--held-out] [--book 20] [--keep FOLDER]

A study here is a hundred configurations, each trained once and scored on the same hundred
validation examples; its best eight, and a baseline, are then confirmed over five new seeds as
`hpsearch confirm` does, race included. Bias is the mean of a number less its truth; an interval is
good if it holds the truth in 95 % of the studies.

A confirmation draws the training and validation part again for each seed, or does not
(`--no-resplit`): then it keeps the examples that the search has chosen by.

With `--held-out` the simulated studies are of other kinds, which nothing was chosen by. With
`--book N` the book's search is run N times, too: that trains 210 networks each time, 40 seconds
on an idle core. They are kept in a folder, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.trust.book import book
from benchmarks.trust.found import Found
from benchmarks.trust.simulation import HELD_OUT, TUNED, simulated


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust")
    parser.add_argument("--studies", type=int, default=200, help="that are simulated")
    parser.add_argument("--held-out", action="store_true", help="simulate the other kinds")
    parser.add_argument("--kind", type=int, help="simulate one kind alone, by its number from 0")
    parser.add_argument("--book", type=int, default=0, help="times that the book's search is run")
    parser.add_argument("--keep", type=Path, default=Path(".hpsearch/cache/trust"))
    parser.add_argument("--workers", type=int, default=2, help="processes that train")
    asked = parser.parse_args(arguments)
    if asked.studies:
        worlds = HELD_OUT if asked.held_out else TUNED
        worlds = worlds if asked.kind is None else worlds[asked.kind : asked.kind + 1]
        _tables(f"{asked.studies} simulated studies", simulated(asked.studies, worlds))
    if asked.book:
        name = f"the book's search, {asked.book} times"
        _tables(
            name, book(asked.book, asked.keep, asked.workers, lambda line: print(line, flush=True))
        )


def _tables(name: str, found: Found) -> None:
    eased = found.raw.off != found.raw.eased
    head = [name, "bias", *["less the ease of the draw"] * eased, "95 % interval holds the truth"]
    print(f"\n| {' | '.join(head)} |\n{'| --- ' * len(head)}|")
    print(found.table())
    if found.said:
        print("\n| P(best) said | in the mean | was so | cases |\n| --- | --- | --- | --- |")
        print(found.calibration())


if __name__ == "__main__":
    main()
