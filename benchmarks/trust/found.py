"""What did a number of studies come to, each held against its truth?"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.search.race import LOOKS, behind
from hpsearch.trust.confirmation import Confirmed, confirmed
from hpsearch.trust.selection import Estimate

TOP, SEEDS = 8, 5

Numbers: TypeAlias = NDArray[np.float64]


@dataclass
class Tally:
    """Numbers of one kind, held against their truth."""

    off: list[float] = field(default_factory=list)
    eased: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)

    def add(self, estimate: Estimate, truth: float, ease: float = 0.0) -> None:
        """One study's.

        Args:
            estimate: What was said.
            truth: What was so.
            ease: How much easier the validation examples were than others, by their draw alone.
        """
        self.off.append(estimate.value - truth)
        self.eased.append(estimate.value - truth - ease)
        self.covered.append(estimate.low <= truth <= estimate.high)

    def row(self, eased: bool, intervals: bool = True) -> str:
        """Bias with its standard error, that without the ease of the draw if asked, and coverage.

        Where draws are many, or the validation examples are of no draw, there is no ease.
        """
        known = [_mean(self.eased) if self.off != self.eased else ""] * eased
        covered = f"{np.mean(self.covered):.1%}" if intervals else ""
        return " | ".join([_mean(self.off), *known, covered])


def _mean(off: list[float]) -> str:
    error = np.std(off, ddof=1) / math.sqrt(len(off))
    return f"{np.mean(off):+.4f} ± {error:.4f}"


@dataclass
class Found:
    """What all studies of one kind came to."""

    raw: Tally = field(default_factory=Tally)
    corrected: Tally = field(default_factory=Tally)
    confirmed: Tally = field(default_factory=Tally)
    resplit: Tally = field(default_factory=Tally)
    said: list[float] = field(default_factory=list)
    were: list[bool] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """What further studies came to."""
        for each in ("raw", "corrected", "confirmed", "resplit"):
            own, more = getattr(self, each), getattr(other, each)
            own.off += more.off
            own.eased += more.eased
            own.covered += more.covered
        self.said += other.said
        self.were += other.were

    def table(self) -> str:
        """Its rows, below a head."""
        eased = self.raw.off != self.raw.eased
        rows = {
            "best value of the search": self.raw.row(eased, intervals=False),
            "corrected": self.corrected.row(eased),
            "confirmed, `--no-resplit`": self.confirmed.row(eased),
            "confirmed": self.resplit.row(eased),
        }
        return "\n".join(f"| {name} | {row} |" for name, row in rows.items())

    def calibration(self) -> str:
        """P(best) as it was said, and how often it was so, in five bins."""
        said, were = np.array(self.said), np.array(self.were)
        bins = np.minimum((said * 5).astype(int), 4)
        lines = []
        for place in range(5):
            inside = bins == place
            if inside.any():
                lines.append(
                    f"| {place * 20} to {place * 20 + 20} % | {said[inside].mean():.0%} | "
                    f"{were[inside].mean():.0%} | {inside.sum()} |"
                )
        return "\n".join(lines)


def raced(scores: Numbers) -> tuple[list[int], Confirmed]:
    """Who is left after the looks of a race, and what is said of them.

    Args:
        scores: (configurations, seeds, examples), or one value in place of the examples.
    """
    still = list(range(len(scores)))
    seeds = scores.shape[1]
    for look in range(1, LOOKS):
        seen = math.ceil(seeds * look / LOOKS)
        lost = behind(scores[still, :seen].mean(axis=2), maximize=True)
        still = [place for index, place in enumerate(still) if index not in lost]
    return still, confirmed(scores[still], maximize=True)
