"""What did each round of a study search, by the ledger's trials of the rounds before it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.errors import StudyFileError
from hpsearch.search.rounds import ranges
from hpsearch.study import file as study_file
from hpsearch.study.rounds import round_of
from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.trial_row import TrialRow

Tables = Mapping[str, Mapping[str, Any]]
"""Ranges and choices by path, as a study file has them."""


def rounds_of(ledger: Ledger) -> list[Tables]:
    """What each round that has begun searches; nothing of a study without rounds."""
    if not ledger.rounds or not ledger.trials:
        return []
    try:
        study = study_file.parse(ledger.definition)
    except StudyFileError:
        return []
    tried = {
        trial.number: (trial.params or {}, trial.value)
        for trial in ledger.trials.values()
        if trial.state == "COMPLETE" and trial.value is not None and not trial.hidden
    }
    begun = round_of(ledger.rounds, max(ledger.trials)) + 1
    spaces = ranges(study, tried, begun)
    return [{path: open_.table() for path, open_ in space.items()} for space in spaces]


def searched(ledger: Ledger, rounds: list[Tables], trial: TrialRow) -> Tables:
    """What was open to a trial."""
    if not rounds:
        return ledger.space
    return rounds[min(round_of(ledger.rounds, trial.number), len(rounds) - 1)]
