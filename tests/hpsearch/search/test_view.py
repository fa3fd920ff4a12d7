"""What a sampler sees of a study: the direction, too."""

from __future__ import annotations

import optuna
import pytest
from optuna.study import StudyDirection

from hpsearch.search.view import NAME, View
from tests.conftest import study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_view_has_the_study_s_direction(direction: str) -> None:
    """A sampler that looks for the worst would be shown the history all the same."""
    view = View(study(search__direction=direction), [], 0)
    asked = optuna.Study(NAME, view)
    assert asked.direction is StudyDirection[direction.upper()]
