"""How does a curve look that has the height of a line?"""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = ".:-=+*#%"
"""The same where a terminal knows no blocks: the more ink, the higher."""


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """Values from left to right, from the lowest of them to the highest.

    Args:
        values: By epoch. One that is infinite or no number is a gap.
        width: Cells, at most; of more values, each cell shows the last of its share.
        ascii_only: Whether the terminal knows ASCII alone.

    >>> sparkline([1.0, 2.0, 4.0, 3.0], 8)
    '▁▃█▆'
    """
    levels = _ASCII if ascii_only else _BLOCKS
    cells = min(width, len(values))
    shown = [values[(cell + 1) * len(values) // cells - 1] for cell in range(cells)]
    known = [value for value in shown if math.isfinite(value)]
    if not known:
        return " " * cells
    low, span = min(known), max(known) - min(known)
    top = len(levels) - 1

    def level(value: float) -> str:
        if not math.isfinite(value):
            return " "
        # The span of very large numbers may be infinite, and that of very small ones zero.
        share = (value - low) / span if 0 < span < math.inf else 0.0
        return levels[round(share * top)]

    return "".join(map(level, shown))
