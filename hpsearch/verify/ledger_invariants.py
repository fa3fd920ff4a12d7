"""What does the ledger promise? A function each, that yields a line for all that breaks it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import State
from hpsearch.study.config import dumps
from hpsearch.verify.endings import ended
from hpsearch.verify.fold_invariants import folds
from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.look import Check, Look
from hpsearch.verify.objectives import values
from hpsearch.verify.pause_invariants import continued
from hpsearch.verify.pieces import counts, pieces
from hpsearch.verify.round_reading import rounds_of, searched
from hpsearch.verify.trial_row import TrialRow

_TOLD = 100  # of the trials that are missing
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _numbers(seen: Look) -> Iterator[str]:
    """Trials bear the numbers from 0, without a hole."""
    ledger = seen.ledger
    there, begun = ledger.trials.keys(), range(ledger.next_number)
    missing = len(begun) - sum(number in begun for number in there)
    for number in islice((n for n in begun if n not in there), min(missing, _TOLD)):
        yield f"trial {number} is missing: {ledger.next_number} trials were started"
    if missing > _TOLD:
        yield f"{missing - _TOLD} more trials are missing"
    for number in sorted(n for n in there if n not in begun):
        yield f"trial {number} exists, but only {ledger.next_number} trials were started"


def _budget(seen: Look) -> Iterator[str]:
    """No trial is beyond the budget; when nothing is left, all of it is finished."""
    ledger = seen.ledger
    finished = sum(trial.finished for trial in ledger.trials.values())
    if len(ledger.trials) > ledger.budget:
        yield f"the study has {len(ledger.trials)} trials, more than its budget of {ledger.budget}"
    elif finished == len(ledger.trials) < ledger.budget <= ledger.next_number:
        yield (
            f"{finished} trials have finished and none is left, but the study has a "
            f"budget of {ledger.budget}"
        )


def _leases(seen: Look) -> Iterator[str]:
    """Every claimed trial is finished or validly leased, and no other bears a lease."""
    for trial in seen.ledger.trials.values():
        said = f"trial {trial.number} is {trial.state}"
        if trial.state == State.RUNNING:
            if trial.owner is None or trial.lease_until is None:
                yield f"{said}, but has no lease"
            elif not _worker(trial.owner):
                yield f"{said}, but it is leased to {trial.owner!r}, which is no worker"
            elif trial.number not in seen.held and not seen.live:
                yield f"{said}, but its worker is gone; `hpsearch run` runs it again"
        elif trial.owner is not None or trial.lease_until is not None:
            yield f"{said}, but is still leased to {trial.owner}"
        elif trial.shows:
            yield f"{said}, but shows epochs as if it were running"


def _worker(owner: str) -> bool:
    """Whether this is who a lease can belong to."""
    try:
        Owner.parse(owner)
    except ValueError:
        return False
    return True


def _states(seen: Look) -> Iterator[str]:
    """A state is one of five, has a time of its end exactly if it is one, and its reason."""
    for trial in seen.ledger.trials.values():
        said = f"trial {trial.number} is {trial.state}"
        if trial.state not in list(State):
            yield f"trial {trial.number} has the unknown state {trial.state!r}"
        elif trial.finished and trial.ended is None:
            yield f"{said}, but has no end time"
        elif not trial.finished and trial.ended is not None:
            yield f"{said}, but has an end time"
        elif (trial.reason is not None) != (trial.state in (State.PRUNED, State.FAIL)):
            yield f"{said}, but has reason {trial.reason!r}"


def _values(seen: Look) -> Iterator[str]:
    """A COMPLETE trial's value is its metric after the epoch that counts; others have none."""
    ledger = seen.ledger
    for trial in ledger.trials.values():
        said = f"trial {trial.number} is {trial.state}"
        if trial.state != State.COMPLETE:
            if trial.value is not None:
                yield f"{said}, but has value {trial.value!r}"
        elif trial.value is None or not np.isfinite(trial.value):
            yield f"{said}, but has value {trial.value!r}"
        elif ledger.trainings == 1 and len(rows := seen.rows(trial)):
            place = counts(ledger, trial, rows)
            metric = float(rows[place, ledger.metric])
            if metric != trial.value:
                yield (
                    f"trial {trial.number} has value {trial.value!r}, "
                    f"but its curve has {metric!r} after epoch {place + 1}"
                )


def _curves(seen: Look) -> Iterator[str]:
    """A finished trial has one curve, of as many epochs as it says; no other has any."""
    ledger = seen.ledger
    for number in sorted(ledger.curves.keys() - ledger.trials.keys()):
        yield f"there is a curve of trial {number}, but no such trial"
    for trial in ledger.trials.values():
        curve = ledger.curves.get(trial.number)
        if not trial.finished:
            if curve is not None:
                yield f"trial {trial.number} is {trial.state}, but has a curve"
        elif curve is None:
            yield f"trial {trial.number} is {trial.state}, but has no curve"
        elif not curve.whole:
            yield f"the curve of trial {trial.number} is incomplete: {len(curve.epochs)} bytes"
        elif len(curve.rows) != trial.epochs:
            yield (
                f"trial {trial.number} ran {trial.epochs} epochs, but its curve has "
                f"{len(curve.rows)}"
            )
        elif trial.state == State.COMPLETE and not all(
            _to_the_end(ledger, trial, rows) for rows in pieces(ledger, trial, curve.rows)
        ):
            epochs = ledger.setting(trial, "epochs")
            yield f"trial {trial.number} is COMPLETE after only {trial.epochs} of {epochs} epochs"


def _measured(seen: Look) -> Iterator[str]:
    """Numbers are missing for the training part alone, and exactly where the study says so."""
    ledger = seen.ledger
    if ledger.interval == 1:
        return
    taught = np.array([name.startswith("train_") for name in ledger.metrics])
    for trial in ledger.trials.values():
        rows = seen.rows(trial)
        ended = ledger.trainings > 1 or trial.state == State.COMPLETE
        lengths = [len(piece) for piece in pieces(ledger, trial, rows)] if ended else []
        lengths.append(len(rows) - sum(lengths))  # of what was stopped
        due = [
            (ledger.interval > 0 and epoch % ledger.interval == 0)
            or (epoch == length and place < len(lengths) - 1)
            for place, length in enumerate(lengths)
            for epoch in range(1, length + 1)
        ]
        odd = (np.isnan(rows) != np.outer(~np.array(due, np.bool_), taught)).any(axis=1)
        if odd.any():
            epoch = int(odd.argmax()) + 1
            yield f"epoch {epoch} of trial {trial.number} does not have the numbers that are due"


def _outcomes(seen: Look) -> Iterator[str]:
    """What the validation examples scored is, in the mean, the value of a COMPLETE trial."""
    for number, curve in seen.ledger.curves.items():
        trial = seen.ledger.trials.get(number)
        if trial is None or (mean := curve.outcome) is None:
            continue
        if trial.state in (State.PRUNED, State.FAIL):
            yield f"trial {number} is {trial.state}, but has outcomes"
        elif trial.value is not None and not np.isclose(mean, trial.value, rtol=1e-4, atol=1e-9):
            yield f"trial {number} has value {trial.value!r}, but its examples scored {mean!r}"


def _to_the_end(ledger: Ledger, trial: TrialRow, rows: NDArray[np.float64]) -> bool:
    """Whether a training ended by itself: after its last epoch, or when patience ran out."""
    if ledger.objective is None and ledger.metrics[0].startswith("test_"):
        return len(rows) == 1  # scored once
    if ledger.objective is not None:  # it may end by itself, with an epoch at least
        return 0 < len(rows) <= int(ledger.objective.get("epochs", len(rows)))
    patience = ledger.setting(trial, "patience")
    if len(rows) == ledger.setting(trial, "epochs"):
        return True
    if patience is None or not len(rows):
        return False
    if "val_loss" not in ledger.metrics:  # a refit, which does not report what patience looked at
        return len(rows) < int(ledger.setting(trial, "epochs"))
    return len(rows) - 1 - counts(ledger, trial, rows) == int(patience)


def _digests(seen: Look) -> Iterator[str]:
    """A trial that was trained has its weights' digest; one that failed or diverged has none.

    Nor has one whose configuration was out of a race.
    """
    for trial in seen.ledger.trials.values():
        trained = trial.state == State.COMPLETE or (
            trial.state == State.PRUNED and trial.reason not in ("diverged", "race")
        )
        digest = trial.weights_sha256
        if digest is None and seen.ledger.objective is not None:
            continue  # not every training of one's own comes to something that is kept
        if trained and not _SHA256.fullmatch(digest or ""):
            yield f"trial {trial.number} is {trial.state}, but has weights digest {digest!r}"
        elif not trained and digest is not None:
            yield f"trial {trial.number} is {trial.state}, but has a weights digest"


def _params(seen: Look) -> Iterator[str]:
    """A trained trial has a value for all that it leaves open, no more, and it lies within."""
    rounds = rounds_of(seen.ledger)
    for trial in seen.ledger.trials.values():
        space = searched(seen.ledger, rounds, trial)
        if trial.params is None:
            yield f"the params of trial {trial.number} are not a JSON object"
            continue
        trained = trial.state in (State.COMPLETE, State.PRUNED)
        needed = seen.ledger.needed(trial)
        if trial.params.keys() - needed or (trained and needed - trial.params.keys()):
            yield (
                f"trial {trial.number} has values for {sorted(trial.params)}, not {sorted(needed)}"
            )
            continue
        for path, value in trial.params.items():
            if path not in space or not _within(value, space[path]):
                of = " in its round" if rounds else ""
                yield f"trial {trial.number} has {path} = {dumps(value)}, outside its range{of}"


def _given(seen: Look) -> Iterator[str]:
    """Where the trials are given, each has the seed and the values that stand in its place."""
    given: Mapping[str, Any] | None = seen.ledger.definition.get("given")
    if given is None:
        return
    for trial in seen.ledger.trials.values():
        seed, place = divmod(trial.number, len(given["configurations"]))
        if given.get("part") == "both":  # each configuration has one seed, its own
            seed = trial.number
        wanted = given["configurations"][place]["values"]
        if seed >= len(given["seeds"]):
            yield f"trial {trial.number} is beyond what is given"
        elif trial.seed != given["seeds"][seed]:
            yield f"trial {trial.number} has seed {trial.seed}, not {given['seeds'][seed]}"
        elif trial.finished and dumps(trial.params) != dumps(wanted):
            yield f"trial {trial.number} has values {dumps(trial.params)}, not {dumps(wanted)}"


def _within(value: Any, table: Mapping[str, Any]) -> bool:
    if "choices" in table:
        return dumps(value) in map(dumps, table["choices"])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bool(table["low"] <= value <= table["high"])


def _environments(seen: Look) -> Iterator[str]:
    """A trained trial says in which environment, and that one is described."""
    for trial in seen.ledger.trials.values():
        if trial.environment is not None and trial.environment not in seen.ledger.environments:
            yield f"the environment of trial {trial.number} is not described"
        elif trial.environment is None and trial.state in (State.COMPLETE, State.PRUNED):
            yield f"trial {trial.number} does not name its environment"


def _optuna(seen: Look) -> Iterator[str]:
    """Optuna's copy has the finished trials up to the first that is not, and they agree."""
    ledger = seen.ledger
    copies = {copy.number: copy for copy in ledger.copy or ()}
    if len(copies) < len(ledger.copy or ()):
        yield "Optuna's copy has two trials with the same number"
    ready = 0
    while ready in ledger.trials and ledger.trials[ready].finished:
        ready += 1
    for number in sorted(copies.keys() - set(range(ready)) - seen.lagging):
        yield (
            f"trial {number} is in Optuna's copy, but has not finished or must wait for "
            "an earlier one"
        )
    for number in range(ready):
        trial, copy = ledger.trials[number], copies.get(number)
        if number in seen.lagging:
            continue
        if copy is None:
            yield f"trial {number} is not in Optuna's copy; `hpsearch sync` adds it"
            continue
        wanted = {
            path: _as_copied(value, ledger.space.get(path, {}))
            for path, value in (trial.params or {}).items()
        }
        for what, mine, its in (
            ("state", trial.state, copy.state),
            ("value", _shown(values(ledger, trial)), _shown(copy.values)),
            ("params", wanted, copy.params),
        ):
            if mine != its:
                yield f"trial {number} has {what} {mine!r}, but {its!r} in Optuna's copy"
        if not trial.in_optuna:
            yield f"trial {number} is in Optuna's copy, but is not marked as copied"


def _shown(values: tuple[float, ...]) -> object:
    """Values as they are told: one alone, or none, without brackets."""
    return values if len(values) > 1 else next(iter(values), None)


def _as_copied(value: Any, table: Mapping[str, Any]) -> Any:
    """What Optuna's tables make of a value: a list is its JSON, a whole number a real one.

    Of choices that Optuna could not tell apart, each is its JSON.
    """
    choices = table.get("choices", [])
    told = [dumps(choice) if isinstance(choice, list) else choice for choice in choices]
    if isinstance(value, list) or len(set(told)) < len(told):
        return dumps(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and "choices" not in table
    return int(float(value)) if whole else value


INVARIANTS: Mapping[str, Check] = {
    "numbers": _numbers,
    "budget": _budget,
    "ended": ended,
    "leases": _leases,
    "states": _states,
    "values": _values,
    "curves": _curves,
    "folds": folds,
    "continued": continued,
    "measured": _measured,
    "outcomes": _outcomes,
    "digests": _digests,
    "params": _params,
    "given": _given,
    "environments": _environments,
    "optuna": _optuna,
}
"""By the name that a violation bears."""
