"""How does a study look on one page? An HTML file that needs no other, no network and no script.

Names and values come from users: the template escapes all of them, and the figures are images,
in which nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2

import hpsearch
from hpsearch.errors import HpsearchError
from hpsearch.ledger.records import State, StudyRecord, Trial
from hpsearch.ledger.store import Store
from hpsearch.report import (
    by_round,
    confirmed,
    fronts,
    importance,
    learning,
    mistakes,
    opened,
    parallel,
    searches,
    slices,
    summary,
    surface,
    views,
    words,
)
from hpsearch.report.comparisons import compared, quantity
from hpsearch.report.figures import compares
from hpsearch.report.sections import Section, shown, table
from hpsearch.report.slices import Outcomes
from hpsearch.report.style import Title
from hpsearch.report.trials import (
    Ending,
    Finished,
    counted,
    metric_name,
    parts,
    ranked,
    titled,
    trained,
)
from hpsearch.search.known import Round, rounds_of, widened
from hpsearch.search.rungs import rung_steps, step_name
from hpsearch.study.conditions import conditional
from hpsearch.study.config import Study
from hpsearch.study.rounds import EPOCHS
from hpsearch.training.seam import Trainer
from hpsearch.trust.confirming import confirmation
from hpsearch.trust.estimate import correction
from hpsearch.trust.selection import Estimate

BEST = 10
"""Trials in the table of the best."""
RELOAD = 5
"""Seconds after which the page of a study that runs reloads itself."""
SETTLED = 1e-9
"""Spread of values below which there is nothing to explain."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the sections are made of."""

    store: Store
    record: StudyRecord
    finished: list[Finished]
    failed: list[Trial]
    trainer: Callable[[], Trainer]
    outcomes: Outcomes
    order: list[Finished]
    """Those with a value, the best first."""
    band: Estimate | None
    rounds: list[Round]

    @property
    def study(self) -> Study:
        return self.record.study

    def title(self, what: str) -> Title:
        return Title(titled(self.study, what), counted(self.finished))


def html(
    store: Store,
    record: StudyRecord,
    trainer: Callable[[], Trainer],
    *,
    live: bool = False,
) -> str:
    """The page.

    Args:
        store: The ledger.
        record: The study.
        trainer: Gives what trains it, if a network has to be built again.
        live: Whether the study runs: the page reloads itself, and nothing is trained for it.

    Raises:
        HpsearchError: If no trial has ended yet.
    """
    rounds, record = rounds_of(store, record), widened(store, record)
    study, counts = record.study, store.counts(record.id)
    finished = trained(store, record)
    failed = store.trials(record.id, [State.FAIL])
    if not finished and not failed:
        raise HpsearchError(
            f"{record.name!r} has no trial to draw ({views.counted(counts)}); see: "
            f"hpsearch trials {record.name}"
        )
    outcomes = searches.outcomes(study, finished)
    measured = parts(study)
    validating = study.search.metric.startswith("val_")
    band = learning.noise(outcomes, measured[1] if measured and validating else None)
    order = ranked(study, finished)
    known = _Known(store, record, finished, failed, trainer, outcomes, order, band, rounds)
    best = order[0] if order else None
    corrected = correction(store, record)
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(Path(__file__).with_name("page.html").read_text("utf-8"))
    return template.render(
        name=study.name,
        summary=summary.paragraph(record, finished, len(failed), best),
        cautions=list(summary.cautions(record, counts, finished, best, band, corrected)),
        sections=list(_sections(known, live=live)),
        reload=RELOAD if live else 0,
        version=hpsearch.__version__,
        trials=words.count(counts.finished, "finished trial"),
    )


def write(text: str, name: str, folder: Path) -> Path:
    """Save the page of the study of that name, whole at any time: a browser may be reading it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / words.file_name(name, ".html")
    part = file.with_suffix(".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file


def _sections(known: _Known, *, live: bool) -> Iterator[Section]:
    if tested := opened.lines(known.record.openings):
        yield Section(
            "The test part", f"{words.capital(tested[0])}.", [words.capital(s) for s in tested[1:]]
        )
    again = confirmation(known.store, known.record)
    if again is not None:
        text, said = f"{words.capital(confirmed.winner(again))}.", confirmed.remarks(again)
        cautions = [f"{words.capital(line)}." for line in said]
        yield Section("Confirmed", text, cautions, confirmed.HEAD, confirmed.rows(again))
    if known.order:
        if known.study.search.also:
            yield from _front(known)
        yield _best(known)
    if known.rounds:
        yield _rounds(known)
    if known.finished:
        yield from _comparison(known) if compares(known.study) else _search(known)
        if known.order and len(known.order[0].curve) and not live:
            yield from _mistakes(known)
    if known.failed:
        yield _failures(known)
    yield _effort(known)


def _comparison(known: _Known) -> Iterator[Section]:
    made = compared(known.store, known.record, known.finished, known.trainer)
    yield shown("The settings compared", made)


def _search(known: _Known) -> Iterator[Section]:
    study, finished, outcomes = known.study, known.finished, known.outcomes
    diverged = all(f.ending is Ending.DIVERGED for f in finished)
    if diverged or len(finished) < searches.FEWEST:
        yield shown("Results", searches.overview(study, finished))
        return
    metric, parameters = metric_name(study.search.metric), searches.parameters(study, finished)
    title = known.title(f"{metric} by trial")
    yield shown(
        "History",
        learning.history(title, outcomes, known.band),
        "Each trial, and the best so far. Differences within the band are too small to rank trials."
        if known.band
        else "Each trial, and the best so far.",
    )
    figure = searches.best(study, finished)
    if figure is not None:
        yield shown("The best trials (Fig. 6-24 of the book)", figure)
    lines = [f.line(study.search.metric) for f in finished]
    if any(line.size for line in lines):
        rungs = rung_steps(study) if study.folds == 1 else ()
        title = known.title(f"{metric} by epoch")
        figure = learning.by_epoch(title, outcomes, lines, rungs, quantity(study))
        yield shown("Learning curves", figure, _rungs(study))
    yield shown(
        "By parameter",
        slices.by_parameter(known.title(f"{metric} by parameter"), outcomes, parameters),
        "Each axis is the range that was searched. Pruned trials stand at their last value.",
    )
    title = known.title("all parameters at once")
    yield shown(
        "Parallel coordinates",
        parallel.parallel(title, outcomes, parameters),
        "Each line is a complete trial: its value on top, and its parameters below."
        + (
            f" {parallel.MOST} of {len(known.order):,} are drawn, spread evenly over the ranks."
            if len(known.order) > parallel.MOST
            else ""
        ),
    )
    yield from _importances(known)


def _importances(known: _Known) -> Iterator[Section]:
    study, finished, outcomes = known.study, known.finished, known.outcomes
    heading = "Importance of the parameters"
    values = outcomes.values[outcomes.complete]
    if len(values) < importance.FEWEST:
        few = words.count(len(values), "complete trial")
        yield Section(
            heading, f"Too few trials to say: {few}; at least {importance.FEWEST} are needed."
        )
        return
    if values.max() - values.min() < SETTLED:
        yield Section(
            heading, "All complete trials have the same value. No parameter made a difference."
        )
        return
    found = importance.importances(study, finished)
    vague = [one.path.partition(".")[2] for one in found if not one.clear]
    warned = []
    if study.search.sampler == "tpe":
        warned.append(
            "TPE tries more points where it expects better values, so these importances describe "
            "the points that it tried."
        )
    if conditional(study.space):
        warned.append("Parameters that only some trials have are left out.")
    if vague:
        warned.append(f"The trials are too few to tell these from chance: {words.listed(vague)}.")
    title = known.title("importance of the parameters")
    yield shown(heading, importance.drawn(title, found), cautions=warned)
    if len(found) < 2 or len(values) < surface.FEWEST:
        return
    by_path = dict(zip(study.space, searches.parameters(study, finished), strict=True))
    one, other = (by_path[one.path] for one in found[:2])
    title = known.title(f"{metric_name(study.search.metric)} by the two most important")
    yield shown(
        "The two most important together",
        surface.surface(title, outcomes, one, other),
        cautions=[
            "The surface is a mean over neighbouring trials. It is blank where there are none."
        ],
    )


def _mistakes(known: _Known) -> Iterator[Section]:
    heading = "What the best trial gets wrong"
    names = known.record.data_facts.get("classes", ())
    best = known.order[0]
    found = mistakes.mistakes(known.study, best, known.trainer, names)
    if isinstance(found, str):
        if found:
            yield Section(heading, f"Not shown: {found}.")
        return
    warned = [
        f"These are the {found.confusion.sum():,} validation examples that ranked the trials."
    ]
    if not found.same:
        warned.append("Training the trial again here did not give the recorded weights.")
    title = Title(
        titled(known.study, f"trial {best.trial.number} on the validation part"),
        f"{words.count(int(found.confusion.sum()), 'example')}, "
        f"{words.count(int(found.confusion.sum() - found.confusion.trace()), 'mistake')}",
    )
    yield shown(heading, mistakes.drawn(title, found), cautions=warned)


def _front(known: _Known) -> Iterator[Section]:
    figure = fronts.drawn(known.title("the Pareto front"), known.study, known.finished)
    yield shown("The Pareto front", figure, "No trial is better than these by all objectives.")
    yield table("The trials on it", *fronts.table(known.study, known.finished))


def _best(known: _Known) -> Section:
    study, metric = known.study, known.study.search.metric
    # Epochs that rounds give have a column already.
    paths = [p for p in study.space if not (p == EPOCHS and study.epochs_by_round)]
    rows = [
        [
            str(f.trial.number),
            words.value(f.trial.value),
            str(f.trial.epochs),
            *(words.shorten(words.value(f.trial.params.get(path)), 24) for path in paths),
        ]
        for f in known.order[:BEST]
    ]
    keys = [words.shorten(path.partition(".")[2], 40) for path in paths]
    ran = "epochs trained" if "epochs" in keys else "epochs"
    head = ["trial", metric_name(metric), ran, *keys]
    return table("The best trials", head, rows)


def _rounds(known: _Known) -> Section:
    """The ranges by round, and what came out of each."""
    text = (
        "Each round searches where the best trials of the one before lie, and past an end of a "
        "range that they lie at."
    )
    head, *rows = by_round.table(known.record, known.rounds, known.order)
    return Section("Ranges by round", text, head=head, rows=rows)


def _effort(known: _Known) -> Section:
    efforts = summary.efforts(known.finished, known.failed)
    total = sum(effort.epochs for effort in efforts) or 1
    rows = [
        [
            effort.ending,
            f"{effort.trials:,}",
            f"{effort.epochs:,}",
            f"{effort.epochs / total:.0%}",
            views.duration(effort.seconds),
        ]
        for effort in efforts
    ]
    warned = []
    if any(f.trial.attempts > 1 for f in known.finished):
        warned.append("Some trials were interrupted. Their time counts from their first start.")
    head = ["state", "trials", "epochs", "share of all epochs", "total time"]
    return Section("Time and epochs", "", warned, head, rows)


def _failures(known: _Known) -> Section:
    found = summary.reasons(known.failed)
    rows = [
        [f"{len(numbers):,}", words.listed(words.several([*map(str, numbers)], 8)), reason[:500]]
        for reason, numbers in found.items()
    ]
    return Section("Failed trials", head=["trials", "numbers", "reason"], rows=rows[:20])


def _rungs(study: Study) -> str:
    """What the curves consist of, and when a pruner looks at them."""
    rungs, step = rung_steps(study), step_name(study)
    told = [] if study.folds == 1 else [f"A trial's {study.folds} {step}s follow one another."]
    if rungs:
        when = f"each {step} from {rungs[0]} on"
        if len(rungs) <= 12:
            when = f"{step} {words.listed(map(str, rungs))}"
        told.append(f"The {study.search.pruner} pruner {study.search.verb} after {when}.")
    return " ".join(told)
