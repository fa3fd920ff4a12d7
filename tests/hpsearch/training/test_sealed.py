"""No training of a search holds an example of the test part."""

from __future__ import annotations

import gc
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

from hpsearch.data.datasets import load
from hpsearch.data.splits import split
from hpsearch.training import make
from tests.conftest import study


def arrays_of(root: Any) -> list[Any]:
    """All arrays that can be reached from an object, and what they are views of."""
    seen: dict[int, Any] = {}
    waiting = [root]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, ModuleType | FunctionType | type):
            continue
        seen[id(found)] = found
        waiting += gc.get_referents(found)
        if isinstance(found, np.ndarray):
            waiting.append(found.base)
    return [each for each in seen.values() if isinstance(each, np.ndarray)]


@pytest.mark.parametrize("draw", [None, 1])
def test_a_training_does_not_hold_the_test_part(tmp_path: Path, draw: int | None) -> None:
    """Whatever can be reached from a training, in its midst, shares no row with the test part."""
    tried = study(**({} if draw is None else {"data__draw": draw}))
    sealed = split(load("digits"), train=60, validation=30, seed=0, draw=draw).test.x
    examples = {row.tobytes() for row in sealed}
    training = make.trainer(tried, tmp_path, tmp_path).train(
        tried.resolve({"training.lr": 0.1, "network.dropout": 0.1}, 1)
    )
    next(iter(training))
    held = [a for a in arrays_of(training) if a.dtype == np.float32 and a.shape[1:] == (64,)]
    assert max(map(len, held)) == 60
    assert not [a for a in held if examples & {row.tobytes() for row in a}]
    assert any(len(a) == 30 for a in held)  # the validation part is found this way
