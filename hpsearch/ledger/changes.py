"""Is a study file still what the ledger holds under its name, and to how many trials?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.errors import StudyChangedError, UsageError
from hpsearch.ledger.records import StudyRecord
from hpsearch.study import budgets
from hpsearch.study import file as study_file
from hpsearch.study.config import Study, dumps


def refuse_change(record: StudyRecord, study: Study, data_digests: Mapping[str, str]) -> None:
    """Make sure that a study and its data are those that were registered.

    Raises:
        StudyChangedError: If they are not; the message says what differs.
    """
    changes = study_file.differences(record.study, study)
    if changes:
        raise StudyChangedError(
            f"study {study.name!r} is already in the store with a different definition "
            f"({'; '.join(changes)}); restore the file, or use --name to run it under another name"
        )
    if dict(record.data_digests) != dict(data_digests):
        raise StudyChangedError(
            f"the data of {study.name!r} has changed since the study started "
            f"({changes_of(record.data_digests, data_digests)}); restore the data, or "
            f"use --name to start a new study"
        )


def changed_by(record: StudyRecord, study: Study, begun: int, *, lower: bool) -> dict[str, Any]:
    """What of a study's row another version of its file changes: its end, and ``[confirm]``.

    A study that ended before it had all its trials goes on when it is to have another number of
    them, or when another rule (``budgets``) is to end it.

    Raises:
        UsageError: If the budget would fall, and may not.
    """
    budget = budget_of(record, study, begun, lower=lower)
    ends = budgets.rules(record.study.search) != budgets.rules(study.search)
    changed: dict[str, Any] = {"budget": budget}
    if ends or budget != record.study.search.trials:
        changed["ended"] = None
    if ends or record.study.confirm != study.confirm:
        changed["definition"] = dumps(study.definition())
    return changed


def budget_of(record: StudyRecord, study: Study, begun: int, *, lower: bool) -> int:
    """To how many trials a study goes from now on: never fewer than were begun.

    Raises:
        UsageError: If that is fewer than before, and nobody said that it shall be.
    """
    before, now = record.budget, max(study.search.trials, begun)
    if now < before and not lower:
        raise UsageError(
            f"study {study.name!r} has a budget of {before} trials, not {study.search.trials}; a "
            f"smaller budget stops its other workers, too: confirm it with --lower (in Python: "
            f"lower=True)"
        )
    return now


def changes_of(recorded: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs of two lists of digests, by the names."""
    return ", ".join(
        f"{name} sha256 {recorded.get(name, 'none')[:12]}, now {now.get(name, 'none')[:12]}"
        for name in sorted(recorded.keys() | now.keys())
        if recorded.get(name) != now.get(name)
    )
