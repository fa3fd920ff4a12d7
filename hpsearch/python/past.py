"""What can a new study take over from one of Optuna's? Its ranges and its trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from hpsearch.errors import StoreOpenError, UnknownStudyError, UsageError, one_line
from hpsearch.python.spaces import Choice, Float, Int
from hpsearch.redact import redact
from hpsearch.study.space import same

if TYPE_CHECKING:
    import optuna


_Place = Float | Int | Choice


class Past(TypedDict):
    """Of another study, what a new one takes over; keywords of ``Study``."""

    params: dict[str, _Place]
    direction: str
    history: list[dict[str, Any]]
    enqueue: list[dict[str, Any]]


def import_optuna(url: str, name: str, *, points: int = 0) -> Past:
    """Take a study of Optuna's over as the history of a new one.

        >>> past = hpsearch.import_optuna("sqlite:///optuna.db", "old")
        >>> hpsearch.Study("new", function=train, metrics=["loss"], sampler="tpe", **past)

    The new study gets the old one's parameters with their ranges, its direction, and its COMPLETE
    trials as ``history``: its sampler is shown them, before all trials of its own. They stand in
    the new study's definition, so that it is the same study wherever it is run, and whatever
    becomes of Optuna's storage. They are no trials of the new study: its best trial, its digest and
    its report are of what it trained itself.

    Where a parameter has a value in some trials only, and one of the choices says in which, that
    becomes its condition. Where none does, trials without a value for it are left out.

    Args:
        url: The address of Optuna's storage, such as ``sqlite:///optuna.db``; nothing in it is
            changed.
        name: The study's name there.
        points: How many of its best points the new study trains itself, before all others; of
            equal points the first. Their values then come from the new training.

    Returns:
        The keywords ``params``, ``direction``, ``history`` and ``enqueue`` of ``Study``. Of a long
        study, the history is the trials that a sampler is ever shown: the best and the newest.

    Raises:
        StoreOpenError: If there is no such storage, or it cannot be read.
        UnknownStudyError: If it holds no study of that name.
        UsageError: If the study has several objectives or no COMPLETE trial, or changed the kind of
            a parameter on its way.
    """
    from hpsearch.search.past import shown

    old = _load(url, name)
    if len(old.directions) > 1:
        raise UsageError(f"{name!r} has {len(old.directions)} objectives; a study here has one")
    trials: list[Any] = [trial for trial in old.trials if trial.state.name == "COMPLETE"]
    if not trials:
        raise UsageError(f"{name!r} has no COMPLETE trial to take over")
    direction = old.direction.name.lower()
    sign = -1.0 if direction == "maximize" else 1.0
    space = _conditions(_space(trials), trials)
    ranked = sorted(trials, key=lambda trial: (sign * trial.value, trial.number))
    whole = [trial for trial in ranked if _whole(space, trial) and math.isfinite(trial.value)]
    kept = shown([trial.number for trial in whole])
    distinct: dict[str, dict[str, Any]] = {}
    for trial in ranked:  # by how they are written: to Python, true is 1
        distinct.setdefault(repr(sorted(trial.params.items())), _values(trial))
    return Past(
        params=space,
        direction=direction,
        history=[{"value": t.value, "values": _values(t)} for t in trials if t.number in kept],
        enqueue=list(distinct.values())[:points],
    )


def _values(trial: Any) -> dict[str, Any]:
    """A trial's values by their paths."""
    return {f"params.{name}": value for name, value in sorted(trial.params.items())}


def _conditions(space: Mapping[str, _Place], trials: Sequence[Any]) -> dict[str, _Place]:
    """The same, with a condition for each parameter that only some trials have a value for."""
    counts = {name: sum(name in trial.params for trial in trials) for name in space}
    found = dict(space)
    for name, place in space.items():
        if counts[name] == len(trials):
            continue
        for other, choice in space.items():
            if isinstance(choice, Choice) and counts[other] > counts[name]:
                values = _only(name, other, choice, trials)
                if values:
                    found[name] = replace(place, when={f"params.{other}": values})
                    break
    return found


def _only(name: str, other: str, choice: Choice, trials: Sequence[Any]) -> list[Any]:
    """With which choices of another parameter this one has a value; none if that does not tell."""
    having = [trial.params.get(other) for trial in trials if name in trial.params]
    lacking = [trial.params.get(other) for trial in trials if name not in trial.params]
    values = [one for one in choice.choices if any(same(one, value) for value in having)]
    told = all(any(same(one, value) for one in values) for value in having)
    clear = not any(same(one, value) for one in values for value in lacking)
    return values if told and clear else []


def _whole(space: Mapping[str, _Place], trial: Any) -> bool:
    """Whether a trial has exactly the values that its conditions ask for."""

    def needs(place: _Place) -> bool:
        return all(
            any(same(value, trial.params.get(path.removeprefix("params."))) for value in values)
            for path, values in (place.when or {}).items()
        )

    return {name for name, place in space.items() if needs(place)} == set(trial.params)


def _load(url: str, name: str) -> optuna.Study:
    import optuna
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    shown = redact(url)
    try:
        address = make_url(url)
    except ArgumentError:
        raise StoreOpenError(f"{shown}: is no address, such as sqlite:///optuna.db") from None
    file = address.database
    if address.get_backend_name() == "sqlite" and (not file or not Path(file).is_file()):
        raise StoreOpenError(f"{shown}: there is no such file")
    try:
        storage = optuna.storages.RDBStorage(url, skip_table_creation=True)
        try:
            return optuna.load_study(study_name=name, storage=storage)
        finally:
            storage.remove_session()
    except KeyError:
        raise UnknownStudyError(f"{shown}: holds no study {name!r}") from None
    except (SQLAlchemyError, RuntimeError, ImportError, optuna.exceptions.OptunaError) as error:
        raise StoreOpenError(f"{shown}: cannot be read: {redact(one_line(error))}") from error


def _space(trials: Sequence[Any]) -> dict[str, _Place]:
    """The parameters' ranges: of one whose range changed, all that it ever was."""
    found: dict[str, _Place] = {}
    for trial in trials:
        for name, distribution in _distributions(trial).items():
            found[name] = _joined(name, found.get(name, distribution), distribution)
    return dict(sorted(found.items()))


def _distributions(trial: Any) -> Mapping[str, _Place]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    open_: dict[str, _Place] = {}
    for name, given in trial.distributions.items():
        if isinstance(given, CategoricalDistribution):
            open_[name] = Choice(given.choices)
        elif isinstance(given, IntDistribution):
            step = None if given.step == 1 else given.step
            open_[name] = Int(given.low, given.high, given.log, step)
        else:
            open_[name] = Float(given.low, given.high, given.log, given.step)
    return open_


def _joined(name: str, one: _Place, other: _Place) -> _Place:
    if one == other:
        return one
    if isinstance(one, Float | Int) and isinstance(other, type(one)):
        low, high = min(one.low, other.low), max(one.high, other.high)
        if (one.log, one.step) == (other.log, other.step) and (
            one.step is None or one.low == other.low
        ):
            return type(one)(low, high, one.log, one.step)  # type: ignore[arg-type]
    raise UsageError(f"{name}: changed from {one} to {other} on its way; give its range yourself")
