"""``[training] shift``: which data has images to move, and what a study says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.errors import StudyFileError
from hpsearch.study.config import Range
from hpsearch.training import make
from tests.conftest import study

PARAMS = {"training.lr": 0.1, "network.dropout": 0.1}


def test_a_shift_is_searched_as_any_number_is(tmp_path: Path) -> None:
    """A range of pixels is one of whole numbers, and each end is a training of its own."""
    tried = study(training__shift={"low": 0, "high": 2})
    assert tried.space["training.shift"] == Range(0, 2)
    trainer = make.trainer(tried, tmp_path, tmp_path)
    found = []
    for shift in (0, 1, 2, 2):
        training = trainer.train(tried.resolve({**PARAMS, "training.shift": shift}, 1))
        list(training)
        found.append(training.sha256)
    plain = make.trainer(study(), tmp_path, tmp_path).train(study().resolve(PARAMS, 1))
    list(plain)
    assert found[0] == plain.sha256
    assert found[2] == found[3]
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    "changes", [{"training__shift": 1}, {"training__shift": {"low": 0, "high": 2}}]
)
def test_what_is_no_image_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Rows of numbers have no height and no width; the message names the key and the data."""
    x, file = np.random.default_rng(0).random((150, 16)), tmp_path / "rows.npz"
    np.savez(file, x=x, y=np.arange(150) % 2)
    with pytest.raises(StudyFileError, match=r"training\.shift: npz:.*rows\.npz has no images"):
        make.trainer(study(data__dataset=f"npz:{file}", **changes), tmp_path, tmp_path)
    np.savez(file, x=x.reshape(150, 4, 4), y=np.arange(150) % 2)
    make.trainer(study(data__dataset=f"npz:{file}", **changes), tmp_path, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"training__shift": 8},
        {"training__shift": {"low": 0, "high": 8}},
        {
            "training__shift": {"low": 0, "high": 2},
            "search__rounds": [3, 3],
            "search__limits": {"training.shift": {"high": 8}},
        },
    ],
)
def test_a_shift_out_of_sight_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """An image of 8 × 8 is moved by 7 pixels at most, also where a range may grow."""
    with pytest.raises(StudyFileError, match=r"8 pixels would move an image of 8 × 8 .* use 7"):
        make.trainer(study(**changes), tmp_path, tmp_path)
