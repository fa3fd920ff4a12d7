"""The figures of the book's studies, for the page about the book: python -m docs.make.studies

It takes some minutes, so it is not a part of `make docs`. The figures are those of `hpsearch
report`, of a search its twenty best trials (Fig. 6-24), in fewer colours.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from docs.make.pages import DOCS

STUDIES = (
    "two-layer",
    "optimizers",
    "activations",
    "init",
    "batchnorm",
    "overfit",
    "weight-decay",
    "dropout",
    "book-script",
    "book-rounds",
)
_WIDTH, _COLOURS = 900, 128
"""At most."""


def draw(name: str) -> None:
    """Run a study in a workspace of its own, and keep its figure."""
    import hpsearch

    with tempfile.TemporaryDirectory() as home:
        os.environ["HPSEARCH_HOME"] = home
        study = hpsearch.load(name).run(tracking=False)
        drawn = {path.stem: path for path in study.report(Path(home))}
        _pack(drawn.get(f"{name}-best") or drawn[name], DOCS / "images" / f"{name}.png")


def _pack(source: Path, target: Path) -> None:
    from PIL import Image

    with Image.open(source) as image:
        small = image.convert("RGB")
    small.thumbnail((_WIDTH, 10 * _WIDTH))
    few = small.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(target, optimize=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or STUDIES:
        draw(name)
