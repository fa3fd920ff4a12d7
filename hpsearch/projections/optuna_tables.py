"""How do finished trials get into Optuna's tables by one transaction?

Optuna's storage adds a trial by a session of its own, with a query and an object for each value,
parameter and attribute: several times as long, and a reader may see half a trial. Its tables are no
interface; what is written here is compared with what Optuna's storage reads at every first look.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy.engine import Engine

_Row = dict[str, Any]


def insert(engine: Engine, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    """Write trials that come next in their study, in the order of their numbers.

    Raises:
        KeyError: If there is no such study.
        ValueError: If another has written trials since.
    """
    study, trial = models.StudyModel, models.TrialModel
    rows: dict[Any, list[_Row]] = {model: [] for model in _PARTS}
    with engine.begin() as connection:
        found = sa.select(study.study_id).where(study.study_id == study_id).with_for_update()
        if connection.scalar(found) is None:
            raise KeyError(study_id)
        there = sa.select(sa.func.count()).where(trial.study_id == study_id)
        if connection.scalar(there) != trials[0].number:
            raise ValueError(study_id)
        for each in trials:
            row = {
                "study_id": study_id,
                "number": each.number,
                "state": each.state,
                "datetime_start": each.datetime_start,
                "datetime_complete": each.datetime_complete,
            }
            its = connection.scalar(sa.insert(trial).returning(trial.trial_id), row)
            for model, of in _PARTS.items():
                rows[model] += [{"trial_id": its, **row} for row in of(each)]
        for model, belonging in rows.items():
            if belonging:
                connection.execute(sa.insert(model.__table__), belonging)


def _values(trial: FrozenTrial) -> Iterator[_Row]:
    for objective, value in enumerate(trial.values or ()):
        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
        yield {"objective": objective, "value": stored, "value_type": kind}


def _params(trial: FrozenTrial) -> Iterator[_Row]:
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        yield {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": distribution_to_json(distribution),
        }


def _intermediate(trial: FrozenTrial) -> Iterator[_Row]:
    model = models.TrialIntermediateValueModel
    for step, value in trial.intermediate_values.items():
        stored, kind = model.intermediate_value_to_stored_repr(value)
        yield {"step": step, "intermediate_value": stored, "intermediate_value_type": kind}


def _attributes(attributes: dict[str, Any]) -> Iterator[_Row]:
    return ({"key": key, "value_json": json.dumps(value)} for key, value in attributes.items())


_PARTS: dict[Any, Callable[[FrozenTrial], Iterator[_Row]]] = {
    models.TrialValueModel: _values,
    models.TrialParamModel: _params,
    models.TrialIntermediateValueModel: _intermediate,
    models.TrialUserAttributeModel: lambda trial: _attributes(trial.user_attrs),
    models.TrialSystemAttributeModel: lambda trial: _attributes(trial.system_attrs),
}
"""Which of Optuna's tables holds what of a trial."""
