"""Which seed does trial *n* draw with, and what for?"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from hpsearch.study.config import Study


class Purpose(IntEnum):
    """What a stream of random numbers is drawn for; part of every seed."""

    SAMPLER = 0
    TRAINING = 1
    CONFIRMATION = 2
    TEST = 3
    REFIT = 4


def seed(study: Study, number: int, purpose: Purpose, again: int = 0) -> int:
    """The seed of one trial for one purpose, below 2**53 so that any reader of JSON keeps it.

    ``numpy.random.SeedSequence(search.seed, spawn_key=(number, purpose))``; where it is asked for
    once more, with ``again`` behind the two.
    """
    key = (number, purpose, again) if again else (number, purpose)
    sequence = np.random.SeedSequence(study.search.seed, spawn_key=key)
    return int(sequence.generate_state(1, np.uint64)[0]) >> 11


def training_seed(study: Study, number: int) -> int:
    """The seed that a trial trains with: the study file's own, where it names one, or several."""
    if study.given is not None:
        return study.given.seed(number)
    return seed(study, number, Purpose.TRAINING) if study.seed is None else study.seed
