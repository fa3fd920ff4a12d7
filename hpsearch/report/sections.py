"""What does a report's page consist of? Headings, each with words, a table or a figure below it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import matplotlib as mpl
from matplotlib.figure import Figure

from hpsearch.report.style import Told

MOST_COLUMNS = 9
"""Of a table."""
DPI = 90
"""Of what is not drawn as lines, where there are many points."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands below it."""

    title: str
    text: str = ""
    cautions: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    image: str = ""
    """The address of a figure, its data in it."""
    alt: str = ""


def table(heading: str, head: list[str], rows: list[list[str]]) -> Section:
    """A table; one that is too wide is turned on its side."""
    if len(head) > MOST_COLUMNS:
        head, *rows = [list(row) for row in zip(head, *rows, strict=True)]
    return Section(heading, head=head, rows=rows)


def shown(
    heading: str, figure: Figure | Told, text: str = "", cautions: Sequence[str] = ()
) -> Section:
    """A figure, or what is told in its place."""
    if isinstance(figure, Told):
        return Section(heading, figure.said, cautions, figure.head, figure.rows)
    alt = figure.get_suptitle().replace("\n", ", ")
    return Section(heading, text, cautions, image=_svg(figure), alt=alt)


def _svg(figure: Figure) -> str:
    """The figure as a data address, SVG with real letters: the same figure as the same bytes."""
    written = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "hpsearch"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None}, dpi=DPI)
    text = " ".join(written.getvalue().decode().splitlines())
    # Not in base64, which the points inside are already.
    return "data:image/svg+xml," + quote(text, safe=" !$&'()*+,-./:;=?@_~")
