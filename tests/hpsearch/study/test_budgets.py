"""Do the keys that end a study go with the rest of it?"""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.errors import StudyFileError
from hpsearch.study import budgets
from hpsearch.study import file as study_file
from tests.conftest import study


@pytest.mark.parametrize(
    ("given", "seconds"), [(90, 90.0), (0.5, 0.5), ("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0)]
)
def test_time_is_seconds_or_a_span(given: Any, seconds: float) -> None:
    """The same spans as a trial's timeout."""
    of = study(search__max_time=given)
    assert of.search.seconds == seconds
    assert study_file.parse(of.definition()) == of


def test_they_are_no_difference() -> None:
    """They say nothing of a trial, as the number of trials does not."""
    ends = study(search__target=0.9, search__max_time="1h", search__max_epochs=9)
    assert study_file.differences(study(), ends) == []
    assert budgets.rules(ends.search) == {"target": 0.9, "max_epochs": 9, "max_time": "1h"}
    assert budgets.rules(budgets.without(ends.search)) == {}


OWN = {
    "objective": {"function": "m:f", "metrics": ["score"]},
    "params": {"x": {"low": 0, "high": 9}},
}


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"max_time": "soon"}, "search.max_time: "),
        ({"max_time": 0}, "search.max_time: "),
        ({"max_epochs": 2}, "search.max_epochs: is 2, and the first trial may train for 3 epochs"),
        ({"patience": 0}, "search.patience: "),
        ({"gain": "much"}, "search.gain: "),
        ({"gain": "noise", "metric": "val_loss"}, "search.gain: the noise of val_loss is not"),
        ({"patience": 3, "rounds": 2}, "search.patience: compares trials of the same ranges"),
        ({"gain": 0.1, "rounds": 2}, "search.gain: compares trials of the same ranges"),
    ],
)
def test_what_does_not_go_together_is_an_error(search: dict[str, Any], said: str) -> None:
    """The key is named, and what to do."""
    with pytest.raises(StudyFileError) as error:
        study(**{f"search__{key}": value for key, value in search.items()})
    assert said in str(error.value)


def test_epochs_of_ones_own_must_be_known() -> None:
    """A function may train for as long as it likes."""
    table = {"name": "own", **OWN, "search": {"max_epochs": 9}}
    with pytest.raises(StudyFileError, match=r"search.max_epochs: needs the maximum number"):
        study_file.parse(table)
    with pytest.raises(StudyFileError, match=r"search.gain: the noise of score is not known"):
        study_file.parse({**table, "search": {"gain": "noise"}})
