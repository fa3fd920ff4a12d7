"""Which figures does a study get, and where do they go?

That follows from the study's shape alone. Where its trials are *settings* chosen by hand (a grid of
choices, or a list of points) they are held beside each other (``comparisons``). All other studies
are *searches* (``searches``).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib.figure import Figure

from hpsearch.ledger.records import StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.report import searches, words
from hpsearch.report.comparisons import compared
from hpsearch.report.style import drawn
from hpsearch.report.trials import trained
from hpsearch.search.known import widened
from hpsearch.settings import Settings
from hpsearch.study.config import Choices, Study
from hpsearch.training.seam import Trainer

MOST_SETTINGS = 40
"""More settings than these are no comparison that fits one figure."""


def draw(store: Store, record: StudyRecord, trainer: Callable[[], Trainer]) -> dict[str, Figure]:
    """The study's figures, by the names of their files; none where no trial was trained.

    Args:
        store: The ledger.
        record: The study.
        trainer: Gives what trains it, if a network has to be built again.
    """
    record = widened(store, record)
    study = record.study
    finished = trained(store, record)
    if not finished:
        return {}
    if compares(study):
        made = compared(store, record, finished, trainer)
        return {words.file_name(study.name, ".png"): drawn(made)}
    figures = {words.file_name(study.name, ".png"): drawn(searches.overview(study, finished))}
    best = searches.best(study, finished)
    if best is not None:
        figures[words.file_name(study.name, "-best.png")] = best
    return figures


def compares(study: Study) -> bool:
    """Whether the trials are settings chosen by hand, few enough to be seen beside each other."""
    listed = study.search.sampler == "grid" or len(study.search.enqueue) >= study.search.trials
    chosen = all(isinstance(open_, Choices) for open_ in study.space.values())
    return (not study.space or (listed and chosen)) and study.search.trials <= MOST_SETTINGS


def write(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Save figures as PNG: the same figure as the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # A study's name may have letters that the font has not: boxes stand for them.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        for name, figure in figures.items():
            figure.savefig(folder / name, format="png")
    return [folder / name for name in figures]


def track(settings: Settings, record: StudyRecord, files: Iterable[Path]) -> bool:
    """Put files beside the study's run in MLflow, over those of an earlier report.

    Returns:
        Whether the study has a run there.

    Raises:
        TrackingError: If MLflow cannot be reached or refuses.
    """
    if record.mlflow_run_id is None:
        return False
    from hpsearch.projections.mlflow_content import StudyContent
    from hpsearch.projections.mlflow_runs import Tracking

    Tracking(settings, StudyContent(record), create=False).write_report(record.mlflow_run_id, files)
    return True
