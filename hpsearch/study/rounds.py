"""Into which rounds do a study's trials fall, and how far may their ranges grow?

The book's procedure (6.5.2) searches in rounds: each narrows the ranges of the one before.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from hpsearch.errors import StudyFileError
from hpsearch.study.space import Range, Space
from hpsearch.study.words import nearest, show
from hpsearch.text import short

if TYPE_CHECKING:
    from hpsearch.study.config import SearchConfig, Study

EPOCHS = "training.epochs"
"""What may have a value for each round."""
_MOST = 100


def settled(table: Mapping[str, Any]) -> dict[str, Any]:
    """A study file's content in which ``search.rounds`` lists the trials of each round.

    A number of rounds is divided so that all of them train for as many epochs in total. It is
    settled once, from the file: the rounds must not move when ``--trials`` changes the budget.

    Raises:
        StudyFileError: If it is neither a number nor a list of numbers, or does not fit.
    """
    search = table.get("search", {})
    if not isinstance(search, Mapping) or "rounds" not in search:
        return dict(table)
    rounds, search = search["rounds"], dict(search)
    if _count(rounds):
        if rounds == 1:
            del search["rounds"]
            return {**table, "search": search}
        trials = search.get("trials", 100)
        if not _count(trials):
            return dict(table)  # pydantic says what is wrong with it
        if not rounds <= min(trials, _MOST):
            raise StudyFileError(
                f"search.rounds: {rounds} rounds do not fit {trials} trials; use fewer rounds "
                f"(at most {_MOST})"
            )
        epochs = epochs_of(table, rounds) or [1] * rounds
        search["rounds"] = _divided(trials, [1 / each for each in epochs])
    elif not isinstance(rounds, list) or not all(map(_count, rounds)) or len(rounds) > _MOST:
        raise StudyFileError(
            f"search.rounds: must be a number of rounds, such as 3, or a list of the number of "
            f"trials in each, such as [60, 30, 10] (it is {show(rounds)})"
        )
    search.setdefault("trials", sum(search["rounds"]) or 100)
    return {**table, "search": search}


def epochs_of(table: Mapping[str, Any], rounds: int) -> list[int] | None:
    """The epochs by round, where ``[training]`` lists them.

    Raises:
        StudyFileError: If there are more or fewer of them than rounds.
    """
    training = table.get("training", {})
    listed: Any = training.get("epochs") if isinstance(training, Mapping) else None
    if not isinstance(listed, list):
        return None
    if rounds < 2:
        raise StudyFileError(
            "training.epochs: a list gives the epochs of each round; set `rounds` in [search], or "
            "write one number"
        )
    if not all(map(_count, listed)):
        raise StudyFileError(f"training.epochs: must list integers above 0 (it is {show(listed)})")
    if len(listed) != rounds:
        raise StudyFileError(
            f"training.epochs: lists {len(listed)} numbers for {rounds} rounds; list one for each"
        )
    return listed


def starts(rounds: Sequence[int]) -> list[int]:
    """The number of each round's first trial."""
    return [0, *accumulate(rounds[:-1])] if rounds else [0]


def round_of(rounds: Sequence[int], number: int) -> int:
    """The round of a trial, from 0. The last round has all trials from its first on."""
    return bisect_right(starts(rounds), number) - 1


def first_of(rounds: Sequence[int], number: int) -> int:
    """The number of the first trial in the same round."""
    return starts(rounds)[round_of(rounds, number)]


def limits(raw: Mapping[str, Any], space: Space) -> dict[str, dict[str, int | float]]:
    """``[search.limits]``: how far a range may grow, with ``low`` and ``high`` by path.

    Raises:
        StudyFileError: If a limit is not one of a range, or lies inside of it.
    """
    found: dict[str, dict[str, int | float]] = {}
    for path, key, value in _entries(raw):
        where = f"search.limits: {short(path)}"
        open_ = space.get(path)
        if open_ is None:
            raise StudyFileError(f"{where} is not searched{nearest(path, list(space))}")
        if not isinstance(open_, Range):
            raise StudyFileError(f"{where} has choices; limits are for ranges")
        if key not in ("low", "high"):
            raise StudyFileError(f"{where}: {short(key)} is unknown; write low and high")
        whole = isinstance(open_.low, int)
        number = isinstance(value, int) if whole else isinstance(value, int | float)
        if not number or isinstance(value, bool) or not math.isfinite(value):
            kind = "an integer" if whole else "a number"
            raise StudyFileError(f"{where}.{key}: must be {kind}, not {show(value)}")
        inside = value > open_.low if key == "low" else value < open_.high
        if inside:
            raise StudyFileError(
                f"{where}.{key}: {value} lies inside the range, {open_.low} to {open_.high}"
            )
        if open_.log and value <= 0:
            raise StudyFileError(f"{where}.{key}: must be above 0 on a log scale")
        ends = found.setdefault(path, {"low": open_.low, "high": open_.high})
        ends[key] = value if whole else float(value)
    return found


def check(space: Space, search: SearchConfig, by_round: Sequence[int] | None) -> None:
    """Make sure that rounds go with what else the study says.

    Raises:
        StudyFileError: If they do not.
    """
    if search.rounds and search.sampler in ("grid", "given"):
        said = {"grid": "a grid cannot be narrowed", "given": "given trials cannot be narrowed"}
        raise StudyFileError(f"search.rounds: {said[search.sampler]}; use another sampler")
    if search.rounds and len(search.enqueue) > search.rounds[0]:
        raise StudyFileError(
            f"search.enqueue: has {len(search.enqueue)} points, and the first round "
            f"{search.rounds[0]} trials; later rounds have ranges of their own"
        )
    if by_round is None:
        return
    if any(path == EPOCHS for raw in search.enqueue for path in _paths(raw)):
        raise StudyFileError(f"search.enqueue: {EPOCHS} depends on the round; remove it")
    for path, open_ in space.items():
        if any(place == EPOCHS for place, _ in open_.when):
            raise StudyFileError(f"{path}.when: {EPOCHS} depends on the round; remove it")


def check_limits(study: Study) -> None:
    """Make sure that what ranges may grow to is valid.

    Raises:
        StudyFileError: If an end is not.
    """
    point = {path: open_.ends()[0] for path, open_ in study.space.items()}
    for path, ends in study.search.limits.items():
        for key, end in ends.items():
            try:
                study.resolve({**point, path: end}, 0)
            except StudyFileError as error:
                said = str(error).removesuffix(f" (in a trial of {study.name!r})")
                raise StudyFileError(f"search.limits: {path}.{key}: {end}: {said}") from None


def _paths(raw: Mapping[str, Any]) -> list[str]:
    """The paths in tables of tables."""
    return [f"{path}.{key}".lstrip(".") for path, key, _ in _entries(raw)]


def _entries(raw: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str, Any]]:
    """Path, key and value of each entry, its path dotted or in tables of tables."""
    found = []
    for key, value in raw.items():
        whole = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found += _entries(value, f"{whole}.")
        else:
            path, _, last = whole.rpartition(".")
            found.append((path, last, value))
    return found


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _divided(total: int, weights: Sequence[float]) -> list[int]:
    """A total in whole parts by weights, each at least 1: the largest remainders are rounded up."""
    exact = [max(1.0, total * weight / sum(weights)) for weight in weights]
    parts = [math.floor(part) for part in exact]
    while sum(parts) > total:  # many parts were raised to 1
        parts[parts.index(max(parts))] -= 1
    order = sorted(range(len(parts)), key=lambda k: (math.floor(exact[k]) - exact[k], k))
    for k in order[: total - sum(parts)]:
        parts[k] += 1
    return parts
