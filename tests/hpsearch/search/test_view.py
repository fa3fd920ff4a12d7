"""What a sampler sees of a study: the direction, too."""

from __future__ import annotations

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from hpsearch.search.view import NAME, View
from tests.conftest import study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_view_has_the_study_s_direction(direction: str) -> None:
    """A sampler that looks for the worst would be shown the history all the same."""
    view = View(study(search__direction=direction), [], 0)
    asked = optuna.Study(NAME, view)
    assert asked.direction is StudyDirection[direction.upper()]


def test_what_is_shown() -> None:
    """The history and the trial itself, which runs; by state, where somebody asks for one."""
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    history = [create_trial(state=state, value=1.0) for state in states]
    view = View(study(), history, 7, {"training.lr": 0.5})
    every = view.get_all_trials(0)
    assert every[:2] == history
    assert (every[2].number, every[2].state) == (7, TrialState.RUNNING)
    assert every[2] is not view.running
    assert view.get_all_trials(0, states=(TrialState.PRUNED,)) == history[1:]
    both = view.get_all_trials(0, states=(TrialState.COMPLETE, TrialState.RUNNING))
    assert [trial.state for trial in both] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert view.get_all_trials(0, states=states) == history
    assert view.running.system_attrs == {"fixed_params": {"training.lr": 0.5}}
    assert View(study(), [], 0).running.system_attrs == {}
    view.set_trial_system_attr(7, "rung", 0.5)
    assert view.running.system_attrs["rung"] == 0.5
