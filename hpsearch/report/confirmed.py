"""How is it said what new seeds showed? A table, sentences, and the JSON that scripts read."""

from __future__ import annotations

from typing import Any

from hpsearch.report import views, words
from hpsearch.trust.confirming import Confirmation, Contender

HEAD = ("", "in the search", "mean", "to expect (95 %)", "P(best)", "seeds", "")
"""Of the table."""


def rows(found: Confirmation) -> list[list[str]]:
    """A row of the table for each configuration."""
    return [
        [
            "baseline" if each.trial is None else f"trial {each.trial}",
            views.value_(each.searched),
            views.value_(each.mean, 3),
            views.estimate(each.estimate),
            views.chance(each.best),
            f"{each.seeds}/{found.seeds}",
            each.out or "",
        ]
        for each in found.contenders
    ]


def winner(found: Confirmation) -> str:
    """Who it is, and what to expect of it."""
    what = "new seeds and draws of the data" if found.resplit else "new seeds"
    said = (
        f"confirmed over {found.seeds} {what}: {found.winner.name}, {found.metric} "
        f"{views.estimate(found.winner.estimate)}, the best of {len(found.contenders)} with "
        f"probability {views.chance(found.winner.best)}"
    )
    return said if found.resplit else f"{said}; on the validation examples of the search"


def remarks(found: Confirmation) -> list[str]:
    """What else is to be known, a sentence each."""
    said = []
    if len(found.alike) > 1:
        few = [each.name for each in found.alike]
        said.append(f"no difference can be seen between {words.listed(few)}")
    if found.luck is not None:
        first = found.contenders[0]
        searched, mean = views.value_(first.searched), views.value_(first.mean, 3)
        share = (
            f"about {views.value_(found.luck, 2)} of it was luck"
            if found.luck > 0
            else "none of it was luck"
        )
        said.append(
            f"the search's best value was {searched} ({first.name}); confirmed, the same "
            f"configuration comes to {mean}: {share}"
        )
    if found.newer:
        said.append(
            f"the study has a better trial since; to confirm that, delete {found.name!r} and "
            f"confirm again"
        )
    return said


def document(found: Confirmation) -> dict[str, Any]:
    """What ``confirm --json`` prints, and ``best --json`` as ``confirmed``."""
    return {
        "study": found.of,
        "confirmation": found.name,
        "metric": found.metric,
        "seeds": found.seeds,
        "resplit": found.resplit,
        "winner": _json(found.winner),
        "no_difference": [each.trial for each in found.alike],
        "luck": found.luck,
        "configurations": [_json(each) for each in found.contenders],
    }


def _json(each: Contender) -> dict[str, Any]:
    estimate = each.estimate
    return {
        "trial": each.trial,
        "params": dict(each.values),
        "searched": each.searched,
        "mean": each.mean,
        "value": _value(each),
        "low": estimate and estimate.low,
        "high": estimate and estimate.high,
        "probability_best": each.best,
        "seeds": each.seeds,
        "out": each.out,
    }


def _value(each: Contender) -> float | None:
    return None if each.estimate is None else each.estimate.value
