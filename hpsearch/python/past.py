"""What can a new study take over from one of Optuna's? Its ranges, and its best points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from hpsearch.errors import StoreOpenError, UnknownStudyError, UsageError, one_line
from hpsearch.python.spaces import Choice, Float, Int
from hpsearch.redact import redact

if TYPE_CHECKING:
    import optuna


class Past(TypedDict):
    """Of another study, what a new one takes over; keywords of ``Study``."""

    params: dict[str, Float | Int | Choice]
    direction: str
    enqueue: list[dict[str, Any]]


def import_optuna(url: str, name: str, *, points: int = 10) -> Past:
    """Take a study of Optuna's over as the history of a new one.

        >>> past = hpsearch.import_optuna("sqlite:///optuna.db", "old")
        >>> hpsearch.Study("new", function=train, metrics=["val_loss"], **past)

    The new study gets the old one's parameters with their ranges and its direction, and its first
    trials are the old one's best points, the best first. They stand in its definition, so it is the
    same study wherever it is run. The old values do not come along: the new study trains these
    points itself, with seeds of its own, and its sampler learns from what it has seen itself, so
    that each of its trials can be reproduced.

    Args:
        url: The address of Optuna's storage, such as ``sqlite:///optuna.db``; nothing in it is
            changed.
        name: The study's name there.
        points: How many of its COMPLETE trials are taken, at most; of equal points the first.

    Returns:
        The keywords ``params``, ``direction`` and ``enqueue`` of ``Study``.

    Raises:
        StoreOpenError: If there is no such storage, or it cannot be read.
        UnknownStudyError: If it holds no study of that name.
        UsageError: If the study has several objectives or no COMPLETE trial, or changed the kind of
            a parameter on its way.
    """
    old = _load(url, name)
    if len(old.directions) > 1:
        raise UsageError(f"{name!r} has {len(old.directions)} objectives; a study here has one")
    trials = [trial for trial in old.trials if trial.state.name == "COMPLETE"]
    if not trials:
        raise UsageError(f"{name!r} has no COMPLETE trial to take over")
    direction = old.direction.name.lower()
    sign = -1.0 if direction == "maximize" else 1.0
    ranked = sorted(trials, key=lambda trial: (sign * float(trial.value or 0.0), trial.number))
    distinct: dict[str, dict[str, Any]] = {}
    for trial in ranked:  # by how they are written: to Python, true is 1
        distinct.setdefault(repr(sorted(trial.params.items())), trial.params)
    best = list(distinct.values())[:points]
    paths = [{f"params.{key}": value for key, value in point.items()} for point in best]
    return Past(params=_space(trials), direction=direction, enqueue=paths)


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


def _space(trials: Sequence[Any]) -> dict[str, Float | Int | Choice]:
    """The parameters' ranges: of one whose range changed, all that it ever was."""
    found: dict[str, Float | Int | Choice] = {}
    for trial in trials:
        for name, distribution in _distributions(trial).items():
            found[name] = _joined(name, found.get(name, distribution), distribution)
    return dict(sorted(found.items()))


def _distributions(trial: Any) -> Mapping[str, Float | Int | Choice]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    open_: dict[str, Float | Int | Choice] = {}
    for name, given in trial.distributions.items():
        if isinstance(given, CategoricalDistribution):
            open_[name] = Choice(given.choices)
        elif isinstance(given, IntDistribution):
            step = None if given.step == 1 else given.step
            open_[name] = Int(given.low, given.high, given.log, step)
        else:
            open_[name] = Float(given.low, given.high, given.log, given.step)
    return open_


def _joined(
    name: str, one: Float | Int | Choice, other: Float | Int | Choice
) -> Float | Int | Choice:
    if one == other:
        return one
    if isinstance(one, Float | Int) and isinstance(other, type(one)):
        low, high = min(one.low, other.low), max(one.high, other.high)
        if (one.log, one.step) == (other.log, other.step) and (
            one.step is None or one.low == other.low
        ):
            return type(one)(low, high, one.log, one.step)  # type: ignore[arg-type]
    raise UsageError(f"{name}: changed from {one} to {other} on its way; give its range yourself")
