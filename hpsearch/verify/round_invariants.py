"""What does MLflow hold of a study's rounds if all is well?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hpsearch.study.config import dumps
from hpsearch.study.rounds import EPOCHS, round_of, starts
from hpsearch.verify.ledger_reading import Ledger
from hpsearch.verify.look import Look
from hpsearch.verify.round_reading import rounds_of
from hpsearch.verify.tracking_reading import PARENT, Run


def begun(ledger: Ledger) -> int:
    """How many rounds have begun."""
    if not ledger.rounds or not ledger.trials:
        return 0
    return round_of(ledger.rounds, max(ledger.trials)) + 1


def rounds(seen: Look) -> Iterator[str]:
    """Each round that has begun has one run below the study's, with its ranges and its status."""
    found, parents = seen.by_round, seen.parents
    spaces = rounds_of(seen.ledger)
    by_round = isinstance(seen.ledger.definition.get("training", {}).get("epochs"), list)
    for number in range(1, begun(seen.ledger) + 1):
        runs = found[number]
        if len(runs) > 1:
            yield f"round {number} has {len(runs)} runs: {', '.join(run.id for run in runs)}"
        elif not runs and not seen.live:
            yield f"round {number} has no run; `hpsearch sync` writes it"
        for run in runs[:1]:
            if len(parents) == 1 and run.tags.get(PARENT) != parents[0].id:
                yield f"{_of(run, number)} has {PARENT} {run.tags.get(PARENT)!r}"
            for path, table in spaces[number - 1].items() if number <= len(spaces) else ():
                wanted = dumps(table)
                if by_round and path == EPOCHS:  # one number, as its trials have it
                    wanted = dumps(table["choices"][0])
                if run.params.get(path) != wanted:
                    yield f"{_of(run, number)} has {path} {run.params.get(path)}, not {wanted}"
            if not seen.live and run.status != (wanted := _status(seen.ledger, number)):
                yield f"{_of(run, number)} is {run.status}, not {wanted}"


def _status(ledger: Ledger, number: int) -> str:
    firsts = starts(ledger.rounds)
    ends = [*(b for _, b in pairwise(firsts)), ledger.budget]
    first, end = firsts[number - 1], min(ends[number - 1], ledger.budget)
    own = [trial for trial in ledger.trials.values() if first <= trial.number < end]
    done = len(own) == end - first and all(trial.finished for trial in own)
    return "FINISHED" if done else "KILLED"


def _of(run: Run, number: int) -> str:
    return f"run {run.id} of round {number}"
