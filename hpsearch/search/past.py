"""What does a study take over from one that was run? Its definition, and its trials as history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hpsearch.errors import UsageError
from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.search.history import BEST, WINDOW
from hpsearch.search.known import widened
from hpsearch.search.rounds import complete, inside
from hpsearch.study import file as study_file
from hpsearch.study.config import Params, Space, Study, dumps
from hpsearch.study.rounds import EPOCHS


def shown(ranked: Sequence[int]) -> list[int]:
    """The numbers of the trials that a sampler is ever shown, in order; given from the best on."""
    numbers = sorted(ranked)
    if len(numbers) <= WINDOW:
        return numbers
    return sorted({*ranked[:BEST], *numbers[BEST - WINDOW :]})


def in_one_round(study: Study, space: Space) -> Study:
    """The study with these ranges and no rounds, with the epochs of the last."""
    fixed = {section: dict(table) for section, table in study.fixed.items()}
    if study.epochs_by_round:
        section, key = EPOCHS.split(".")
        fixed[section][key] = study.epochs_by_round[-1]
        space = {path: open_ for path, open_ in space.items() if path != EPOCHS}
    limits = {path: ends for path, ends in study.search.limits.items() if path in space}
    update = {"rounds": list[int](), "limits": limits, "enqueue": list[Any]()}
    search = study.search.model_copy(update=update)
    return replace(study, fixed=fixed, space=space, search=search, epochs_by_round=())


def continued(store: Store, record: StudyRecord, name: str, points: int = 0) -> Study:
    """A new study that begins with what another one has found.

    The very points and values stand in its definition, so that it is the same study whatever
    becomes of the other. It has the other's ranges, as far as they have grown in rounds, and TPE as
    its sampler, which sees the other's COMPLETE trials before its own (docs/decisions/0014).

    Args:
        store: The ledger.
        record: The other study.
        name: The new one's name.
        points: How many of the best points it trains itself, before all others.

    Raises:
        UsageError: If the other searches nothing, or has no trial to take over.
        StudyFileError: If that is no valid study.
    """
    old = widened(store, record).study
    study = in_one_round(old, old.space)
    trials = complete(trial for trial, _ in store.history(record.id, -1, record.budget))
    last = old.epochs_by_round[-1] if old.epochs_by_round else None
    found: dict[int, tuple[Params, float]] = {}
    for number, (params, value) in trials.items():
        tried = {path: params[path] for path in params if path in study.space}
        if last in (None, params.get(EPOCHS)) and inside(study.space, tried):
            found[number] = tried, value
    if study.given is not None or not study.space:
        raise UsageError(f"{record.name!r} searches nothing that another study could go on with")
    if not found:
        raise UsageError(f"{record.name!r} has no COMPLETE trial to take over")
    sign = -1.0 if study.search.direction == "maximize" else 1.0
    ranked = sorted(found, key=lambda number: (sign * found[number][1], number))
    best = {dumps(dict(found[number][0])): dict(found[number][0]) for number in reversed(ranked)}
    search: dict[str, Any] = {
        "sampler": "tpe",
        "seed": study.search.seed + 1,  # what is drawn at random is not what was drawn
        "history": [
            {"value": found[number][1], "values": dict(found[number][0])}
            for number in shown(ranked)
        ],
        "enqueue": list(reversed(best.values()))[:points],
    }
    table = replace(study, name=name).definition()
    return study_file.parse({**table, "search": {**table["search"], **search}})
