"""What every digest hangs on beside the study file, seeds first: the same in every version."""

from __future__ import annotations

import numpy as np
import pytest

from hpsearch.search import (
    distinct,
    ends,
    generations,
    history,
    narrowing,
    pruning,
    race,
    suggest,
)
from hpsearch.search.seeds import Purpose, seed, training_seed
from tests.conftest import study
from tests.hpsearch.search.test_race import raced

PURPOSES = {"SAMPLER": 0, "TRAINING": 1, "CONFIRMATION": 2, "TEST": 3, "REFIT": 4}


@pytest.mark.parametrize("again", [0, 3])
@pytest.mark.parametrize(("name", "purpose"), PURPOSES.items())
def test_seed_is_numpys(name: str, purpose: int, again: int) -> None:
    """``SeedSequence(search.seed, spawn_key=(number, purpose))``, its first 53 bits."""
    key = (7, purpose, again) if again else (7, purpose)
    word = np.random.SeedSequence(5, spawn_key=key).generate_state(1, np.uint64)[0]
    assert seed(study(search__seed=5), 7, Purpose[name], again) == int(word) >> 11


def test_as_it_was() -> None:
    """The first trial's, of a study with seed 0."""
    found = [seed(study(), 0, purpose) for purpose in Purpose]
    assert found == [
        1286656552236609,
        7274442658590397,
        6574394659275864,
        5395092592261809,
        7398140290456383,
    ]


def test_training_seed() -> None:
    """Its own by number, the one that the study file names, or the one that it lists."""
    assert training_seed(study(), 4) == seed(study(), 4, Purpose.TRAINING)
    assert training_seed(study(training__seed=9), 4) == 9
    assert [training_seed(raced(5), number) for number in (0, 2, 3, 14)] == [0, 0, 1, 4]


def test_what_decides_a_trial_beside_its_study_file() -> None:
    """Numbers that a study is searched with. With another one, what is in a store already would go
    on with other trials than it would have had, and nobody could run it again."""
    assert (suggest.SAMPLER_STARTUP, distinct.DRAWS, generations.NSGA_POPULATION) == (10, 20, 20)
    assert (history.WINDOW, history.BEST, ends.FEWEST) == (512, 25, 20)
    assert (pruning.PRUNER_STARTUP, pruning.STALL) == (5, 5)
    assert (pruning.PERCENTILE, pruning.P_THRESHOLD) == (25.0, 0.1)
    assert (narrowing.BEST, narrowing.MARGIN, narrowing.LEAST) == (0.1, 0.25, 0.1)
    assert (narrowing.PARTS, narrowing.EDGE) == (5, 0.2)
    assert (narrowing.BEYOND, narrowing.CLEARLY) == (0.5, 0.05)
    assert (race.LEVEL, race.LOOKS, race.TINY) == (0.05, 3, 1e-12)
