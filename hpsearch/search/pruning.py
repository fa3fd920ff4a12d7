"""When is trial *n* stopped? Optuna's pruners decide, over a view of the older trials.

All but one, which pauses: see ``promotion``.
"""

from __future__ import annotations

import optuna

from hpsearch.search.history import History
from hpsearch.search.optuna_terms import outward, without_warnings
from hpsearch.search.promotion import Continued, Pausing
from hpsearch.search.rungs import most_steps, rung_steps
from hpsearch.search.view import NAME, View
from hpsearch.study.config import Params, Study

PRUNER_STARTUP = 5
"""Complete trials that the median and the percentile pruner have seen before they prune."""
PERCENTILE = 25.0
"""Of the percentile pruner: the share of trials, in percent, that goes on."""
STALL = 5
"""Of the patient pruner: epochs without a better value."""

P_THRESHOLD = 0.1
"""Of the Wilcoxon pruner: below this p-value a trial is worse than the best one."""


def pruning(study: Study, history: History, number: int, params: Params) -> Pruning | Pausing:
    """What stops trial ``number``, where anything does."""
    if study.search.pauses:
        return Pausing(study, history, number)
    return Pruning(study, history, number, params)


class Pruning:
    """Optuna's pruner of one trial, shown its metric step by step."""

    continues: Continued | None = None
    """Such a trial is never continued, and continues none."""

    def __init__(self, study: Study, history: History, number: int, params: Params) -> None:
        self._rungs = rung_steps(study)
        if not self._rungs:
            return
        self._view = View(study, history.before(number), number)
        self._view.running.params = {
            path: outward(study.space[path], value) for path, value in params.items()
        }
        with without_warnings():  # that some pruners are experimental
            self._pruner = pruner(study)
        self._asker = optuna.Study(NAME, self._view, pruner=self._pruner)

    def stops(self, step: int, metric: float) -> bool:
        """Whether the trial is stopped after this step, unless it ends there anyhow."""
        if not self._rungs:
            return False
        self._view.running.intermediate_values[step] = metric
        return step in self._rungs and self._pruner.prune(self._asker, self._view.running)

    @property
    def rungs(self) -> dict[str, float]:
        """What later trials must know of this one's rungs."""
        return dict(self._view.running.system_attrs) if self._rungs else {}


def pruner(study: Study) -> optuna.pruners.BasePruner:
    """Optuna's pruner, new for each trial."""
    search = study.search
    match search.pruner:
        case "hyperband":
            return optuna.pruners.HyperbandPruner(
                min_resource=min(search.min_epochs, most_steps(study)),
                max_resource=most_steps(study),
                reduction_factor=search.reduction_factor,
            )
        case "halving":
            return optuna.pruners.SuccessiveHalvingPruner(
                min_resource=search.min_epochs, reduction_factor=search.reduction_factor
            )
        case "median":
            return optuna.pruners.MedianPruner(
                n_startup_trials=PRUNER_STARTUP, n_warmup_steps=search.min_epochs
            )
        case "percentile":
            return optuna.pruners.PercentilePruner(
                PERCENTILE if search.percentile is None else search.percentile,
                n_startup_trials=PRUNER_STARTUP,
                n_warmup_steps=search.min_epochs,
            )
        case "patient":
            return optuna.pruners.PatientPruner(None, patience=search.stall or STALL)
        case "threshold":
            return optuna.pruners.ThresholdPruner(
                lower=search.lower, upper=search.upper, n_warmup_steps=search.min_epochs
            )
        case "wilcoxon":
            return optuna.pruners.WilcoxonPruner(
                p_threshold=P_THRESHOLD if search.p_threshold is None else search.p_threshold,
                n_startup_steps=search.min_epochs,
            )
        case "none" | "pausing":  # which is no pruner of Optuna's: see `promotion`
            return optuna.pruners.NopPruner()
