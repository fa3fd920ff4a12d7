"""A process dies at each of the places where that would hurt most."""

from __future__ import annotations

import pytest

from hpsearch.seams import SEAMS
from tests.faults import cases
from tests.faults.workspace import Place


def test_every_seam_has_a_case() -> None:
    """No seam is left out below."""
    assert set(SEAMS) == {*cases.OF_WORKERS, *cases.OF_THE_PROJECTOR, "syncing"}


def everywhere(seams: tuple[str, ...], quick: str) -> pytest.MarkDecorator:
    """Every seam on both stores; on the shared one, ``make test`` tries one of them."""
    tried = [("embedded", seam) for seam in seams] + [("shared", quick)]
    soaked = [("shared", seam) for seam in seams if seam != quick]
    more = [pytest.param(*case, marks=pytest.mark.soak) for case in soaked]
    return pytest.mark.parametrize(("place", "seam"), [*tried, *more], indirect=["place"])


@everywhere(cases.OF_WORKERS, "finished")
def test_worker_dies_at_a_seam(place: Place, seam: str) -> None:
    """Another takes its place, and the run goes on to the same end."""
    cases.seam_of_a_worker(place, seam)


@everywhere(cases.OF_THE_PROJECTOR, "run-logged")
def test_projector_dies_at_a_seam(place: Place, seam: str) -> None:
    """The next run goes on, and each trial is in MLflow once."""
    cases.seam_of_the_projector(place, seam)


def test_sync_dies(place: Place) -> None:
    """The next one finishes what it began."""
    cases.seam_of_sync(place, "syncing")
