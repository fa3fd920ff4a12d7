"""What the report says beside its numbers."""

from __future__ import annotations

from typing import get_args

import pytest

from hpsearch.report.summary import SAMPLERS, worth
from hpsearch.study.config import SearchConfig
from tests.conftest import study

VALUES = [0.5] * 19 + [0.9]


def test_worth_of_the_second_half() -> None:
    """Half of the trials would have missed the best one half of the time."""
    said = "Of 20 trials, 10 would have found 0.7 on average. The other half was worth 0.2."
    assert [said] == list(worth(study(), VALUES))


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({}, VALUES[1:]),
        ({"search__sampler": "tpe"}, VALUES),
        ({"search__pruner": "median"}, VALUES),
    ],
    ids=["few trials", "led by earlier ones", "stopped by others"],
)
def test_worth_is_not_known(changes: dict[str, str], values: list[float]) -> None:
    """Few trials say nothing of it, nor do those that depend on each other."""
    assert list(worth(study(**changes), values)) == []


def test_every_samplers_name() -> None:
    """The abbreviations are written as such, and all others are words."""
    samplers = set(get_args(SearchConfig.model_fields["sampler"].annotation))
    assert samplers - {"random", "grid", "given"} == SAMPLERS.keys()
