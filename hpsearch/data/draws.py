"""Which rows of a dataset go into which part?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.files import bad

Rows: TypeAlias = NDArray[np.intp]
"""(n,), numbers of rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """What is drawn from."""

    y: NDArray[np.int64]
    """(n,), the class that each row is a share of."""
    test_start: int | None
    """First row of a test part that is not drawn."""
    source: str
    """What an error names as the place."""
    equal: Rows | None = None
    """(n,), a number that equal rows have in common, where they are to stay together."""


def parts(
    strata: Strata, *, train: int, validation: float | int, test: int | None, seed: int
) -> tuple[Rows, Rows, Rows]:
    """The rows of the training, validation and test part, disjoint and in random order.

    ``train`` rows are drawn first. A fraction ``validation`` (a float within 0 … 1) of them becomes
    the validation part; a number (an int) is drawn beside them. The test part is the one that is
    not drawn, or else all that is left; or ``test`` rows of it, which may be none.

    Each draw takes of every class its share of what is drawn from, rounded by largest remainder
    (ties to the lower class), so within one row. Where equal rows stay together, a draw takes no
    more than it was asked for, and less only where no group of those left fits in; groups count
    for the class of their first row; and rows equal to one of a test part that is not drawn are in
    no part.

    Raises ``DataError`` when a part would be empty, or more is asked than there is.
    """
    if seed < 0:
        raise bad("data.seed", f"{seed} is negative", "use 0 or more")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    pool = rng.permutation(len(strata.y[: strata.test_start]))
    if strata.equal is not None and strata.test_start is not None:
        pool = pool[~np.isin(strata.equal[pool], strata.equal[strata.test_start :])]
    beside = not isinstance(validation, float)
    number = _validation_size(strata, len(pool), train, validation, test)
    first, rest = _draw(pool, strata, train)
    validation_rows, remaining = _draw(rest if beside else first, strata, number)
    train_rows, test_rows = (first, remaining) if beside else (remaining, rest)
    if strata.test_start is not None:
        test_rows = rng.permutation(np.arange(strata.test_start, len(strata.y)))
    if test is not None:
        test_rows, _ = _draw(test_rows, strata, test)
    drawn = {"training": train_rows, "validation": validation_rows, "test": test_rows}
    empty = [name for name, rows in drawn.items() if not len(rows) and (name, test) != ("test", 0)]
    if empty:
        problem = f"no {empty[0]} examples are left when duplicates stay in one part"
        raise bad("data.duplicates", problem, "change the sizes in [data]")
    # A draw takes the first of each class, which is no random order of the classes.
    train_rows, validation_rows, test_rows = map(rng.permutation, drawn.values())
    return train_rows, validation_rows, test_rows


def redrawn(
    strata: Strata, train: Rows, validation: Rows, *, seed: int, draw: int
) -> tuple[Rows, Rows]:
    """Another draw of the training and validation part, from the rows of both and no others.

    So what is in the test part stays there. ``draw`` is counted from 1: the draw of ``parts`` is 0.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(draw,))
    rng = np.random.Generator(np.random.PCG64(sequence))
    pool = rng.permutation(np.concatenate([train, validation]))
    drawn, left = _draw(pool, strata, len(validation))
    if not len(drawn):
        problem = "no validation examples are left when duplicates stay in one part"
        raise bad("data.duplicates", problem, "change the sizes in [data]")
    return rng.permutation(left), rng.permutation(drawn)


def folded(
    strata: Strata, train: Rows, validation: Rows, *, seed: int, folds: int, draw: int = 0
) -> list[tuple[Rows, Rows]]:
    """The training and validation part of each fold, from the rows of both and no others.

    Every row is in the validation part of one fold. The first fold has the parts as they are. The
    others divide what it trains on, each drawn as ``parts`` draws.
    """
    held, left = [validation], train
    for more in range(folds - 1, 0, -1):
        drawn, left = _draw(left, strata, round(len(left) / more))
        held.append(drawn)
    if not all(map(len, held)):
        problem = f"some of {folds} folds have no examples"
        raise bad("data.folds", problem, "use fewer folds, or more examples")
    found = [(train, validation)]
    for place in range(1, folds):
        sequence = np.random.SeedSequence(seed, spawn_key=(draw, place))
        rng = np.random.Generator(np.random.PCG64(sequence))
        others = np.concatenate([rows for k, rows in enumerate(held) if k != place])
        found.append((rng.permutation(others), rng.permutation(held[place])))
    return found


def _validation_size(
    strata: Strata, pool: int, train: int, validation: float | int, test: int | None
) -> int:
    """The number of validation examples, when every part can be drawn."""
    for key, number, least in (("train", train, 1), ("test", test, 0)):
        if number is not None and number < least:
            raise bad(f"data.{key}", f"{number} examples", f"use {least} or more")
    beside = 0
    if isinstance(validation, float):
        number = round(train * validation) if 0 < validation < 1 else 0
        if not 0 < number < train:
            problem = f"{validation} of {train} examples leaves one part empty"
            raise bad("data.validation", problem, "use a fraction between 0 and 1, or a number")
    else:
        number = beside = validation
        if number < 1:
            raise bad("data.validation", f"{number} examples", "use 1 or more")
    whole = len(strata.y[: strata.test_start])
    own_test = len(strata.y) - whole
    sealed = 1 if test is None else test
    asked = train + beside + (0 if own_test else sealed)
    if asked > pool or (own_test and sealed > own_test):
        there = f"{pool} examples and {own_test} for testing" if own_test else f"{pool} examples"
        if pool < whole:
            there = f"{pool} examples without duplicates among the {own_test} for testing"
        rest = "the rest" if test is None else test
        wanted = f"train = {train}, validation = {validation}, test = {rest}"
        raise bad(strata.source, f"has {there}, too few for {wanted}", "ask for fewer in [data]")
    return number


def _draw(rows: Rows, strata: Strata, number: int) -> tuple[Rows, Rows]:
    """``number`` of the rows, stratified, and those left: of each class the first, in order."""
    if strata.equal is not None:
        return _draw_together(rows, strata.y, strata.equal, number)
    y = strata.y[rows]
    counts = np.bincount(y)
    share = _shares(counts, number)
    by_class = np.argsort(y, kind="stable")
    rank = np.empty_like(by_class)
    rank[by_class] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = rank < share[y]
    return rows[chosen], rows[~chosen]


def _draw_together(rows: Rows, y: NDArray[np.int64], equal: Rows, number: int) -> tuple[Rows, Rows]:
    """At most ``number`` of the rows, and those left: groups of equal ones, the first that fit."""
    groups: dict[int, list[int]] = {}
    for place, group in enumerate(equal[rows].tolist()):
        groups.setdefault(group, []).append(place)
    classes = {group: int(y[rows[places[0]]]) for group, places in groups.items()}
    counts = np.zeros(int(y.max()) + 1, np.intp)
    for group, places in groups.items():
        counts[classes[group]] += len(places)
    share = _shares(counts, number)
    chosen = np.zeros(len(rows), bool)
    for group, places in groups.items():
        if len(places) <= share[classes[group]]:
            share[classes[group]] -= len(places)
            chosen[places] = True
    spare = number - int(chosen.sum())  # what no group of its own class fitted into
    for places in groups.values():
        if len(places) <= spare and not chosen[places[0]]:
            spare -= len(places)
            chosen[places] = True
    return rows[chosen], rows[~chosen]


def _shares(counts: NDArray[np.intp], number: int) -> NDArray[np.intp]:
    """What each class of so many rows gets of ``number``."""
    share, remainder = np.divmod(number * counts, max(int(counts.sum()), 1))
    share[np.argsort(-remainder, kind="stable")[: number - share.sum()]] += 1
    return share
