"""What did each round of a study search, and what came out of it?"""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch.ledger.records import StudyRecord
from hpsearch.report import views, words
from hpsearch.report.trials import Finished, metric_name
from hpsearch.search.known import Round


def table(
    record: StudyRecord, rounds: Sequence[Round], order: Sequence[Finished]
) -> list[list[str]]:
    """A column for each round, below a line of headings.

    Args:
        record: The study.
        rounds: Its rounds that have begun.
        order: Its trials that have a value, the best first.
    """
    study = record.study
    first = [next((f for f in order if each.has(f.trial.number)), None) for each in rounds]
    lines = [["", *(f"round {each.number}" for each in rounds)]]
    lines.append(["trials", *(f"{each.planned(record.budget):,}" for each in rounds)])
    if study.epochs_by_round:
        lines.append(["epochs", *(words.value(each.epochs) for each in rounds)])
    values = (words.value(found.trial.value if found else None) for found in first)
    lines.append([f"best {metric_name(study.search.metric)}", *values])
    for path in study.space:
        spaces = [each.space.get(path) for each in rounds]
        if any(spaces):
            told = ("-" if open_ is None else views.searched(open_) for open_ in spaces)
            name = words.shorten(path.partition(".")[2], 40)
            lines.append([name, *(words.shorten(each, 40) for each in told)])
    return lines
