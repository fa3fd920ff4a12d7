"""Which trials have their weights in MLflow, and how do they get there? By training once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hpsearch.ledger.records import State, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.projections.mlflow_runs import Tracking
from hpsearch.projections.summary import reproduction_of
from hpsearch.projections.written import Retrained


def keep(
    store: Store,
    name: str,
    tracking: Tracking,
    runs: Mapping[int, str],
    retrain: Callable[[Trial], Retrained],
    alone: Callable[[], None],
) -> bool:
    """Have the weights of a study's best trial with its run, or those of a refit's networks.

    Args:
        store: The ledger.
        name: The study's.
        tracking: What writes its runs.
        runs: By trial, those that have ended.
        retrain: Trains a trial again.
        alone: Raises if another may be writing, too; is asked before every write.

    Returns:
        Whether anything was written.
    """
    record = store.study(name)
    best, given = store.best(record), record.study.given
    if best is None or not store.counts(record.id).done:
        return False
    if given is None:
        return _of_best(store, record, best, tracking, runs, retrain, alone)
    if given.part != "both":  # which seed is the luckiest is no question
        return False
    lacking = [
        trial
        for trial in store.trials(record.id, [State.COMPLETE])
        if trial.number in runs and not tracking.has_weights(runs[trial.number])
    ]
    for trial in lacking:
        again = retrain(trial)
        alone()
        _write(tracking, runs[trial.number], again)
    return bool(lacking)


def _of_best(
    store: Store,
    record: StudyRecord,
    best: Trial,
    tracking: Tracking,
    runs: Mapping[int, str],
    retrain: Callable[[Trial], Retrained],
    alone: Callable[[], None],
) -> bool:
    """Train the best trial once more for its weights, unless that was done. Whether it was."""
    run_id = runs.get(best.number)
    if run_id is None:  # it has come meanwhile, from a worker elsewhere
        return False
    known = reproduction_of(record, best)
    if known is not None:
        arrays = record.study.keeps_arrays and best.weights_sha256 is not None
        if not known or not arrays or tracking.has_weights(run_id):
            return False
    again = retrain(best)
    alone()
    _write(tracking, run_id, again)
    store.mark_reproduced(record.id, again.outcome)
    return True


def _write(tracking: Tracking, run_id: str, again: Retrained) -> None:
    state = again.state if again.identical and again.state else None
    tracking.write_weights(run_id, state, again.agrees)
