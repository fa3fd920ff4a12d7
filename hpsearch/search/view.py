"""What may one trial see of a study?"""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpsearch.search.optuna_terms import directions
from hpsearch.study.config import Study

NAME = "hpsearch"
"""One name for all views: Hyperband hashes it, and decisions must not depend on a study's name."""


class View(BaseStorage):
    """What one trial may see: the eligible history, and itself running. Nothing is kept."""

    def __init__(
        self,
        study: Study,
        history: list[FrozenTrial],
        number: int,
        enqueued: dict[str, Any] | None = None,
    ) -> None:
        self._directions = directions(study)
        self._history = history
        self._asked: Container[TrialState] = ()
        self._chosen: list[FrozenTrial] = []
        self.running = FrozenTrial(
            number=number,
            trial_id=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={"fixed_params": enqueued} if enqueued else {},
            intermediate_values={},
        )

    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        return NAME

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        return self.running.number

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self.running

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        # A copy, so that a list read before does not change under its reader.
        if states is None:
            return [*self._history, copy.copy(self.running)]
        if states != self._asked:  # a pruner asks for the same at every rung
            self._asked, self._chosen = states, [t for t in self._history if t.state in states]
        running = [copy.copy(self.running)] if self.running.state in states else []
        return self._chosen + running

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: Any
    ) -> None:
        self.running.params[param_name] = distribution.to_external_repr(param_value_internal)
        self.running.distributions[param_name] = distribution

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.running.system_attrs = {**self.running.system_attrs, key: value}

    def _absent(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("a view is not asked this")

    create_new_study = delete_study = get_all_studies = _absent
    set_study_user_attr = set_study_system_attr = get_study_user_attrs = _absent
    set_trial_state_values = set_trial_intermediate_value = set_trial_user_attr = _absent
