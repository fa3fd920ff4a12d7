"""What does the ledger promise of a trial that continues another one?"""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.ledger.records import State
from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.look import Look
from hpsearch.verify.trial_row import TrialRow


def continued(seen: Look) -> Iterator[str]:
    """It has the params, the seed and the epochs of one that was paused, and no other has."""
    ledger = seen.ledger
    by: dict[int, int] = {}
    for trial in ledger.trials.values():
        if trial.continues is None:
            continue
        said = f"trial {trial.number} continues trial {trial.continues}"
        if ledger.definition["search"].get("pruner") != "pausing":
            yield f"{said}, but the study pauses none"
            continue
        origin = ledger.trials.get(trial.continues)
        if origin is None or origin.number >= trial.number:
            yield f"{said}, which is no earlier one"
        elif (origin.state, origin.reason) != (State.PRUNED, "pausing"):
            yield f"{said}, which is not paused"
        elif not trial.hidden and origin.number in by:
            yield f"{said}, as trial {by[origin.number]} does"
        elif (trial.params, trial.seed) != (origin.params, origin.seed):
            yield f"{said}, but with other params or another seed"
        elif trial.state in (State.COMPLETE, State.PRUNED):
            yield from _epochs(ledger, said, trial, origin)
        if not trial.hidden:
            by.setdefault(trial.continues, trial.number)


def _epochs(ledger: Ledger, said: str, trial: TrialRow, origin: TrialRow) -> Iterator[str]:
    """The curve begins with that of the other trial, whose epochs it did not train again."""
    own = ledger.objective is not None  # it begins anew, and may give other bits
    before = 0 if own else origin.epochs
    if trial.before != before:
        yield f"{said} and says it trained {trial.before} epochs less, not {before}"
    curve, other = ledger.curves.get(trial.number), ledger.curves.get(origin.number)
    if own or curve is None or other is None:
        return
    begins = curve.epochs.startswith(other.epochs) and curve.steps.startswith(other.steps)
    if not begins and trial.reason != "diverged":
        yield f"{said}, but its curve does not begin with that one's"
