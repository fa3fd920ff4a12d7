"""Which of a few configurations is the best, and how sure is that?

Each was trained with the same new seeds, and scored on the same examples; so they are compared seed
by seed and example by example. This module knows neither stores nor studies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.trust.selection import Estimate

DRAWS = 4000
LEVEL = 0.05
TINY = 1e-12
"""A spread that is none, as a share."""

Scores = NDArray[np.float64]
"""(configurations, seeds, examples): what each training scored on each example. Where only values
are known, the last axis has one entry."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What new seeds say of the configurations, an entry each."""

    estimates: list[Estimate]
    best: list[float]
    """The probability that it is the best of them."""
    alike: list[int]
    """Those that the data cannot tell from the leader, the leader among them."""

    @property
    def leader(self) -> int:
        """The configuration with the highest probability of being the best, the first of equals."""
        return int(np.argmax(self.best))


def confirmed(scores: Scores, *, maximize: bool, seed: int = 0) -> Confirmed:
    """Compare configurations over seeds and examples.

    Seeds and examples are both drawn from many, and each configuration meets all of them: the
    two-way layout with two random factors of studies with several readers and cases (Hillis, "A
    comparison of denominator degrees of freedom methods for multiple observer ROC analysis",
    Statistics in Medicine 26, 2007). ``_noise`` tells how far a mean may be off.

    The best of several is best partly by luck. So configurations of which none is clearly behind
    the others are taken as drawn from one normal distribution, whose spread is unknown, too: the
    hierarchical model of Rubin, "Estimation in parallel randomized experiments", Journal of
    Educational Statistics 6, 1981 (Gelman et al., "Bayesian Data Analysis", 2013, section 5.4). The
    share by which they are drawn to their mean has a uniform prior (Strawderman, "Proper Bayes
    minimax estimators of the multivariate normal mean", Annals of Mathematical Statistics 42,
    1971). The probability of being the best is counted over draws of this posterior. Two
    configurations are not drawn to each other: they do not show how much configurations differ.

    Args:
        scores: What each training scored.
        maximize: Whether a larger score is better.
        seed: Of the draws.

    Raises:
        ValueError: With fewer than two seeds, or a score that is not finite.
    """
    configurations, seeds, _ = scores.shape
    if seeds < 2 or not np.isfinite(scores).all():
        raise ValueError("a confirmation needs two seeds at least, and scores that are finite")
    rng = np.random.default_rng(seed)
    signed = scores if maximize else -scores
    group = _group(signed)
    drawn = np.empty((DRAWS, configurations))
    means = signed.mean(axis=(1, 2))
    level, common = means[group].mean(), _off(rng, signed[group].mean(axis=0)[None])
    means[group], drawn[:, group] = _drawn_together(rng, signed[group])
    for place in set(range(configurations)) - set(group):
        gap = signed[place] - signed[group].mean(axis=0)
        drawn[:, [place]] = means[place] - level + _off(rng, gap[None])
    best = np.bincount(drawn.argmax(axis=1), minlength=configurations) / DRAWS
    drawn += level + common
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    if not maximize:
        means, low, high = -means, -high, -low
    return Confirmed(
        [Estimate(*map(float, each)) for each in zip(means, low, high, strict=True)],
        best.tolist(),
        _alike(signed, group),
    )


def _noise(scores: Scores) -> tuple[float, float]:
    """The variance of a configuration's mean over seeds and examples, and its degrees of freedom.

    With mean squares MS of an analysis of variance, seeds S and examples E: the variance is
    (MS(seeds) + max(MS(examples) - MS(both), 0)) / SE, pooled over the configurations, as in the
    denominator of Hillis's F statistic (2007). The degrees of freedom are Satterthwaite's ("An
    approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946).

    Args:
        scores: (configurations, seeds, examples). Of two and more, what all have in common is left
            out: it is the variance of their differences from each other.
    """
    configurations, seeds, examples = scores.shape
    if configurations > 1:
        scores = scores - scores.mean(axis=0)
    scores = scores - scores.mean(axis=(1, 2), keepdims=True)
    free = max(configurations - 1, 1)
    by_seed, by_example = scores.mean(axis=2), scores.mean(axis=1)
    of_seeds = examples * float((by_seed**2).sum()) / (free * (seeds - 1))
    of_examples = 0.0
    if examples > 1:
        both = scores - by_seed[:, :, None] - by_example[:, None, :]
        of_both = float((both**2).sum()) / (free * (seeds - 1) * (examples - 1))
        of_examples = seeds * float((by_example**2).sum()) / (free * (examples - 1))
        of_examples = max(of_examples - of_both, 0.0)
    total = of_seeds + of_examples
    if not total:
        return 0.0, free * (seeds - 1)
    spread = of_seeds**2 / (seeds - 1) + of_examples**2 / max(examples - 1, 1)
    return total / (seeds * examples), free * total**2 / spread


def _off(rng: np.random.Generator, scores: Scores) -> NDArray[np.float64]:
    """(draws, 1): how far off the mean of one configuration's scores may be."""
    variance, degrees = _noise(scores)
    return math.sqrt(variance) * rng.standard_t(degrees, size=(DRAWS, 1))


def _group(scores: Scores) -> list[int]:
    """The configurations without those that are clearly behind the others, larger being better.

    One after another, the last is left out while a one-sided t-test against the mean of the others
    says so, at a level divided by their number (Bonferroni). So the leader, who may be lucky, has
    little part in it.
    """
    from scipy.stats import t

    group = list(range(len(scores)))
    while len(group) > 2:
        means = scores[group].mean(axis=(1, 2))
        last = int(means.argmin())
        variance, degrees = _noise(scores[group])
        many = len(group)
        gap = float(np.delete(means, last).mean() - means[last])
        error = math.sqrt(variance * many / (many - 1))
        if gap <= error * float(t.ppf(1 - LEVEL / many, degrees)):
            break
        del group[last]
    return group


def _alike(scores: Scores, group: list[int]) -> list[int]:
    """Those of a group that a two-sided t-test does not tell from the one with the best mean."""
    from scipy.stats import t

    means = scores[group].mean(axis=(1, 2))
    variance, degrees = _noise(scores[group])
    limit = math.sqrt(2 * variance) * float(t.ppf(1 - LEVEL / 2, degrees))
    return [place for place, mean in zip(group, means, strict=True) if means.max() - mean <= limit]


def _drawn_together(
    rng: np.random.Generator, scores: Scores
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The posterior of a group's means: (configurations,), and draws less the level of all.

    The squares of k means around the mean of all sum up to Q. With noise of variance V, of which a
    chi-square is known, and a uniform share B, the posterior of V is weighted with V P(a, Q / 2V)
    and that of B given V is a gamma distribution with shape a = (k + 1) / 2 and rate Q / 2V, cut
    off at 1; P is the regularized incomplete gamma function. That follows from the distribution of
    Q / V, which given B is a chi-square with k - 1 degrees of freedom, divided by B. Given both, a
    mean is normal around that of all and 1 - B of its own distance from it, with variance
    (1 - B) V.

    Args:
        rng: Draws them.
        scores: (configurations, seeds, examples), larger being better.
    """
    from scipy.special import gammainc, gammaincinv

    many = len(scores)
    means = scores.mean(axis=(1, 2))
    own = means - means.mean()
    variance, degrees = _noise(scores)
    variance = max(variance, (TINY * float(np.abs(means).max())) ** 2, TINY**10)
    v = variance * degrees / rng.chisquare(degrees, size=DRAWS)
    b = np.zeros(DRAWS)
    if many > 2:
        shape, squares = (many + 1) / 2, max(float((own**2).sum()), TINY * variance)
        weight = v * gammainc(shape, squares / (2 * v))
        v = rng.choice(v, size=DRAWS, p=weight / weight.sum())
        rate = squares / (2 * v)
        b = gammaincinv(shape, rng.random(DRAWS) * gammainc(shape, rate)) / rate
    luck = rng.normal(size=(DRAWS, many))
    luck -= luck.mean(axis=1, keepdims=True) if many > 1 else luck
    drawn = (1 - b)[:, None] * own + np.sqrt((1 - b) * v)[:, None] * luck
    return means.mean() + (1 - b.mean()) * own, drawn
