"""Which configurations of a confirmation are clearly behind, and need no further seeds?

A race (Maron and Moore, "Hoeffding races", NIPS 1993; with paired t-tests as in Moore and Lee,
"Efficient algorithms for minimizing cross validation error", ICML 1994): after some of the seeds
those that are behind drop out. A trial's part in it follows from the trials of earlier looks alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hpsearch.study.config import Study
from hpsearch.study.given import GivenConfig

LEVEL = 0.05
LOOKS = 3
"""How often it is looked who is behind, the end of the race included."""
TINY = 1e-12
"""A spread that is none, but for rounding."""
REASON = "race"
"""Why a trial was not trained: its configuration had dropped out."""


def looks(given: GivenConfig) -> list[int]:
    """After how many seeds configurations may drop out, before the end of the race."""
    if given.part != "validation":
        return []
    seeds = len(given.seeds)
    shares = {math.ceil(seeds * look / LOOKS) for look in range(1, LOOKS)}
    return sorted(shares - {1, seeds})


def last_seen(given: GivenConfig, number: int) -> int:
    """The last trial that trial ``number`` depends on; -1 if it depends on none."""
    before = [seeds for seeds in looks(given) if seeds <= given.cell(number)[1]]
    return (before[-1] if before else 0) * len(given.configurations) - 1


def left(study: Study, values: Mapping[int, float | None], number: int) -> list[int]:
    """The places of the configurations that are still in the race when trial ``number`` is due.

    Args:
        study: A study whose trials are given.
        values: Of earlier trials by number; None of one that diverged. One that failed is missing,
            and its configuration is compared with no other.
        number: A trial's.
    """
    given = study.given
    assert given is not None
    many = len(given.configurations)
    still = list(range(many))
    for seeds in looks(given):
        if seeds > given.cell(number)[1]:
            break
        seen = {
            place: [values.get(seed * many + place, math.nan) for seed in range(seeds)]
            for place in still
        }
        whole = {place: row for place, row in seen.items() if None not in row}
        known = [place for place, row in whole.items() if not np.isnan(_numbers(row)).any()]
        lost: set[int] = set()
        if known:
            table = np.stack([_numbers(whole[place]) for place in known])
            maximize = study.search.direction == "maximize"
            lost = {known[index] for index in behind(table, maximize=maximize)}
        still = [place for place in whole if place not in lost]
    return still


def _numbers(row: list[float | None]) -> NDArray[np.float64]:
    return np.array(row, dtype=np.float64)


def behind(values: NDArray[np.float64], *, maximize: bool, looks: int = LOOKS) -> list[int]:
    """Who is clearly behind the leader, and need not be trained with more seeds.

    A one-sided paired t-test by seed against the configuration with the best mean. The level is
    divided by the number of looks and of comparisons (Bonferroni), so that looking often does not
    make a loser.

    Args:
        values: (configurations, seeds).
        maximize: Whether a larger value is better.
        looks: How often this is asked in one race.
    """
    from scipy.stats import t

    configurations, seeds = values.shape
    if configurations < 2 or seeds < 2:
        return []
    signed = values if maximize else -values
    leader = int(signed.mean(axis=1).argmax())
    limit = LEVEL / (looks * (configurations - 1))
    lost = []
    for number in range(configurations):
        gap = signed[leader] - signed[number]
        spread = float(gap.std(ddof=1))
        if spread < TINY:  # accuracies go by steps: equal gaps may be chance
            spread = float(np.hypot(*signed[[leader, number]].std(axis=1, ddof=1)))
        if number == leader or spread < TINY or not gap.mean() > 0:
            continue
        statistic = float(gap.mean()) / (spread / math.sqrt(seeds))
        if t.sf(statistic, seeds - 1) < limit:
            lost.append(number)
    return lost
