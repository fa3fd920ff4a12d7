"""What may end a study before it has all its trials, and does that go with the rest of it?

Like the number of trials, these keys say nothing of any trial: only how many there are. So they may
change in a study that is in the store, which stays what it is up to where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpsearch.errors import StudyFileError
from hpsearch.study.rounds import round_of

if TYPE_CHECKING:
    from hpsearch.study.config import SearchConfig, Study

KEYS = ("target", "patience", "gain", "max_epochs", "max_time")
"""Keys of ``[search]``."""
NOISE = "noise"
"""The gain that is the standard error of the best accuracy."""
_SAID = {
    "target": "a trial has reached it",
    "patience": "so many trials have found nothing better",
    "gain": "as many trials again would be worth less",
    "max_epochs": "a further trial could exceed it",
    "max_time": "its time was over",
}
_OF_VALUES = ("target", "patience", "gain")
_OF_ONE_SPACE = ("patience", "gain")


def rules(search: SearchConfig) -> dict[str, Any]:
    """What a study says of its end beside a number of trials: the keys that it has."""
    found = {key: getattr(search, key) for key in KEYS}
    return {key: value for key, value in found.items() if value is not None}


def without(search: SearchConfig) -> SearchConfig:
    """The same search with no such key."""
    return search.model_copy(update=dict.fromkeys(KEYS))


def by_values(search: SearchConfig) -> bool:
    """Whether the values of trials may end the study."""
    return any(getattr(search, key) is not None for key in _OF_VALUES)


def said(search: SearchConfig, by: str) -> str:
    """The key that ended a study, with its value and what that means."""
    value = getattr(search, by)
    told = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{by} = {told} ({_SAID[by]})"


def most_epochs(study: Study, number: int) -> int:
    """For how many epochs a trial may train, all its folds together, of a study that says so."""
    if study.epochs_by_round:
        return study.folds * study.epochs_by_round[round_of(study.search.rounds, number)]
    assert study.epochs is not None
    return study.folds * study.epochs


def check(study: Study) -> None:
    """Make sure that the keys go with the study.

    Raises:
        StudyFileError: If one does not.
    """
    search = study.search
    for key in rules(search):
        if study.given is not None:
            raise StudyFileError(f"search.{key}: all given trials are trained; remove it")
        if key in _OF_ONE_SPACE and search.rounds:
            raise StudyFileError(
                f"search.{key}: compares trials of the same ranges, and each round has its own; "
                f"remove it, or `rounds`"
            )
    if search.gain == NOISE and (study.data is None or search.metric != "val_accuracy"):
        raise StudyFileError(
            f"search.gain: the noise of {search.metric} is not known; write a number"
        )
    if search.max_epochs is None:
        return
    if study.epochs is None:
        raise StudyFileError(
            "search.max_epochs: needs the maximum number of epochs of a trial; set "
            "`epochs = …` in [objective]"
        )
    if search.max_epochs < most_epochs(study, 0):
        raise StudyFileError(
            f"search.max_epochs: is {search.max_epochs}, and the first trial may train for "
            f"{most_epochs(study, 0)} epochs"
        )
