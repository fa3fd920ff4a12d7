"""Which of a study's MLflow runs are missing or wrong, and what is done about each?

``tracking`` knows how a run is written; here is decided what. A run that agrees with its trial in
the ledger stays; one that was cut short is written on; one that claims to be whole and is not, a
second one, or one of no trial, is deleted. A trial is marked last, so whatever dies on the way, the
next look finds the run by its tag and goes on from there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from hpsearch.errors import HpsearchError, TrackingError, one_line
from hpsearch.ledger.live import live
from hpsearch.ledger.records import NO_STEPS, Curve, Steps, StudyRecord, Trial
from hpsearch.ledger.records import curve as no_curve
from hpsearch.ledger.store import Store
from hpsearch.projections import weights
from hpsearch.projections.mlflow_content import StudyContent
from hpsearch.projections.mlflow_look import Found, Index
from hpsearch.projections.mlflow_runs import Tracking
from hpsearch.projections.round_summary import params
from hpsearch.projections.run_content import NOTE, PARENT, Point, TrialRun
from hpsearch.projections.summary import summary_of
from hpsearch.projections.written import Retrained, Written
from hpsearch.seams import seam
from hpsearch.search.known import rounds_of
from hpsearch.settings import Settings
from hpsearch.study.rounds import round_of

_BATCH = 100
"""Trials whose curves are in memory at once."""
_EARLY = 1.0
"""Seconds that a trial runs before its run is begun; a shorter one is written once, when done."""
_REFRESH = 2.0
"""Seconds between two looks at how far the running trials have come."""
_SUMMARY = 3.0
"""Seconds between two versions of the study's own run."""


@dataclass(slots=True)
class _Run:
    """A trial's run as it was last seen or written."""

    id: str
    running: bool = False
    ended: bool = False
    """It is a finished trial's, with all of it."""
    shown: set[Point] = field(default_factory=set)
    """What it shows of a trial that has not ended: it must be a part of what it is to show."""


class Runs:
    """The runs of one study. Whoever writes them holds the study's projector lock."""

    def __init__(
        self,
        store: Store,
        record: StudyRecord,
        settings: Settings,
        retrain: Callable[[Trial], Retrained] | None,
    ) -> None:
        self._store = store
        self._record = record
        self._settings = settings
        self._retrain = retrain
        self._commits: dict[str, str | None] = {}
        self._alone: Callable[[], None] = lambda: None
        self.forget()

    def forget(self) -> None:
        """Believe nothing of what was seen: the next ``bring`` compares every run."""
        self._tracking: Tracking | None = None
        self._content = StudyContent(self._record)
        self._runs: dict[int, _Run] = {}
        self._parent: str | None = None
        self._rounds: dict[int, str] = {}
        self._live = True
        self._told: str | None = None
        self._told_at = 0.0
        self._kept: set[str] = set()  # digests of the environments that the parent run describes
        self._held_since: dict[int, float] = {}
        self._refreshed_at = 0.0

    def bring(
        self, lacking: Sequence[Trial], alone: Callable[[], None] = lambda: None, *, ending: bool
    ) -> Written:
        """Write what is missing: all of it the first time, later what is new in the ledger.

        Args:
            lacking: The trials without a mark, unfinished ones among them.
            alone: Raises if another may be writing, too; is asked before every write.
            ending: Nobody looks after the study from now on: the summary is to be the last one,
                and the best trial's weights are to be there if the study is done.

        Raises:
            TrackingError: If MLflow cannot be reached or refuses; what is missing stays so.
        """
        removed: list[str] = []
        self._alone = alone
        whole = False
        try:
            # Before the trials are read: one that is held no longer has then ended or is free.
            held = self._store.held(self._record.id)
            self._live = bool(held) or not ending
            other = 0
            if self._tracking is None:
                self._alone()
                self._content = StudyContent(self._store.study(self._record.name))
                self._tracking = Tracking(self._settings, self._content)
                other += self._compare(self._tracking, removed)
                seam("syncing")
            lacking = self._store.unprojected(self._record.id) if other else lacking
            written = self._write(self._tracking, lacking, removed)
            other += self._show_running(self._tracking, lacking, held, removed)
            other += self._show_epochs(self._tracking, lacking, removed)
            if ending or time.monotonic() > self._told_at + _SUMMARY:
                other += self._tell(self._tracking)
            if ending and self._keep_weights(self._tracking):
                other += 1 + self._tell(self._tracking)
            whole = True
            return Written(mlflow=written, removed=removed, other=other)
        except HpsearchError:
            raise
        except Exception as error:
            raise TrackingError(f"MLflow: {one_line(error)}") from error
        finally:
            if not whole:
                self.forget()

    # -- comparing

    def _compare(self, tracking: Tracking, removed: list[str]) -> int:
        """Look at every run once. Returns how many things were put right beside deletions."""
        trials = self._store.trials(self._record.id)
        index = tracking.look({trial.mlflow_run_id for trial in trials if trial.mlflow_run_id})
        for run_id, why in index.surplus:
            self._remove(tracking, run_id, why, removed)
        self._judge_rounds(tracking, index, trials, removed)
        self._find_parent(index)
        changes = 0 if self._parent else self._tell(tracking)
        for number in sorted(index.children.keys() - {trial.number for trial in trials}):
            why = f"there is no trial {number}"
            self._remove(tracking, index.children[number].run_id, why, removed)
        for trial, curve, steps in self._with_curves(trials):
            found = index.children.get(trial.number)
            wanted = self._content.run(trial, curve, steps)
            changes += self._judge(tracking, trial, found, wanted, removed)
        return changes + len(removed)

    def _judge_rounds(
        self, tracking: Tracking, index: Index, trials: Sequence[Trial], removed: list[str]
    ) -> None:
        """Delete the runs of rounds that are none, or have other ranges: params stay for ever."""
        known = rounds_of(self._store, self._record) if index.rounds else []
        for number, found in sorted(index.rounds.items()):
            begun = [each for each in known if each.number == number and each.among(trials)]
            if begun and all(
                found.params.get(path, told) == told for path, told in params(begun[0]).items()
            ):
                continue
            why = "it has other ranges" if begun else f"there is no round {number}"
            self._remove(tracking, found.run_id, why, removed)
            del index.rounds[number]

    def _find_parent(self, index: Index) -> None:
        record = self._store.study(self._record.name)
        if index.parent is None:
            return
        self._parent = index.parent.run_id
        told = json.loads(record.mlflow_summary or "{}")
        tags = index.parent.tags
        shown = (index.parent.run_id, index.parent.status, tags.get(NOTE), tags.get(PARENT))
        told_of = (told.get("status"), told.get("note"), told.get("above"))
        expected = {each["number"]: each for each in told.get("rounds", ())}
        whole = expected.keys() == index.rounds.keys() and all(
            (run.status, run.tags.get(NOTE), run.tags.get(PARENT))
            == (expected[number]["status"], expected[number]["note"], self._parent)
            for number, run in index.rounds.items()
        )
        self._rounds = {number: run.run_id for number, run in index.rounds.items()}
        if whole and shown == (record.mlflow_run_id, *told_of):
            self._told = record.mlflow_summary

    def _judge(
        self,
        tracking: Tracking,
        trial: Trial,
        found: Found | None,
        wanted: TrialRun,
        removed: list[str],
    ) -> int:
        """Keep a trial's run, to be written on if need be, or delete it; set the mark right."""
        whole = found is not None and trial.state.finished and tracking.complete(found, wanted)
        changes = 0
        if found is not None and not whole and not tracking.mendable(found, wanted):
            why = f"it does not agree with trial {trial.number}"
            self._remove(tracking, found.run_id, why, removed)
            found = None
        if found is not None:
            shown = set() if whole else tracking.shown(found)
            self._runs[trial.number] = _Run(found.run_id, found.status == "RUNNING", whole, shown)
            if found.tags.get(PARENT) != self._above(tracking, trial.number):
                self._alone()
                tracking.adopt(found.run_id, self._above(tracking, trial.number))
                changes += 1
        run_id = found.run_id if found is not None else None
        if (trial.mlflow_run_id, trial.in_mlflow) != (run_id, whole):
            self._store.mark_mlflow(self._record.id, trial.number, run_id, whole)
            changes += 1
        return changes

    def _remove(self, tracking: Tracking, run_id: str, why: str, removed: list[str]) -> None:
        self._alone()
        tracking.delete(run_id)
        removed.append(f"run {run_id} deleted: {why}")

    # -- writing

    def _write(self, tracking: Tracking, lacking: Sequence[Trial], removed: list[str]) -> int:
        finished = [t for t in lacking if t.state.finished and not t.in_mlflow]
        for trial, curve, steps in self._with_curves(finished):
            parent, commit = self._above(tracking, trial.number), self._commit(trial)
            log = self._store.log(self._record.id, trial.number)
            wanted = replace(
                self._content.run(trial, curve, steps, parent=parent, commit=commit),
                files=self._content.files(trial, log),
            )
            run = self._standing(tracking, trial, removed)
            if run is not None and not run.shown <= wanted.metrics().keys():
                self._replace(tracking, trial, removed)
                run = None
            self._alone()
            run_id = tracking.write(wanted, run.id, run.shown) if run else tracking.write(wanted)
            self._runs[trial.number] = _Run(run_id, ended=True)
            self._store.mark_mlflow(self._record.id, trial.number, run_id, True)
        return len(finished)

    def _standing(self, tracking: Tracking, trial: Trial, removed: list[str]) -> _Run | None:
        """The run that a trial already has, unless it tells of an end that a retry has undone."""
        run = self._runs.get(trial.number)
        if run is not None and run.ended:
            self._replace(tracking, trial, removed)
            return None
        return run

    def _replace(self, tracking: Tracking, trial: Trial, removed: list[str]) -> None:
        """Delete the run of another attempt, which was not like this one."""
        run_id = self._runs[trial.number].id
        self._remove(tracking, run_id, f"trial {trial.number} was run again", removed)
        del self._runs[trial.number]

    def _show_running(
        self, tracking: Tracking, lacking: Sequence[Trial], held: set[int], removed: list[str]
    ) -> int:
        """Have a run RUNNING exactly if its trial is held, and has been for a while."""
        changes, now = 0, time.monotonic()
        self._held_since = {number: self._held_since.get(number, now) for number in held}
        for trial in lacking:
            since = self._held_since.get(trial.number)
            if trial.state.finished or since is None or now - since < _EARLY:
                continue
            if self._record.study.search.pauses and not trial.params:
                continue  # its seed may be that of another trial, and params cannot change
            run = self._standing(tracking, trial, removed)
            if run is None or not run.running:
                self._alone()
                parent = self._above(tracking, trial.number)
                wanted = self._content.run(trial, no_curve(), parent=parent)
                run_id = tracking.begin(wanted, run.id if run else None)
                shown = run.shown if run else set()
                self._runs[trial.number] = _Run(run_id, running=True, shown=shown)
                self._store.mark_mlflow(self._record.id, trial.number, run_id, False)
                changes += 1
        for number, run in self._runs.items():
            if run.running and number not in held:
                self._alone()
                tracking.release(run.id)
                run.running = False
                changes += 1
        return changes

    def _show_epochs(self, tracking: Tracking, lacking: Sequence[Trial], removed: list[str]) -> int:
        """Show how far the running trials have come, now and then: a batch for each."""
        now = time.monotonic()
        running = {n for n, run in self._runs.items() if run.running}
        if not running or now < self._refreshed_at + _REFRESH:
            return 0
        self._refreshed_at = now
        curves, changes = live(self._store.database, self._record), 0
        for trial in lacking:
            if trial.number not in running & curves.keys():
                continue
            run = self._runs[trial.number]
            metrics = self._content.run(trial, curves[trial.number]).metrics()
            fresh = [metric for point, metric in metrics.items() if point not in run.shown]
            if not fresh:  # it has begun again, and is not yet as far as it was
                continue
            self._alone()
            if run.shown <= metrics.keys():
                tracking.show(run.id, fresh)
                run.shown |= metrics.keys()
            else:  # and not in the same way; its run is begun anew by the next look
                self._replace(tracking, trial, removed)
            changes += 1
        return changes

    # -- the study as a whole

    def _above(self, tracking: Tracking, number: int) -> str:
        """The run that a trial's stands below: its round's, or the study's."""
        rounds = self._record.study.search.rounds
        if not rounds:
            return self._parent or ""
        place = round_of(rounds, number) + 1
        if place not in self._rounds:
            self._tell(tracking)
        return self._rounds[place]

    def _tell(self, tracking: Tracking) -> int:
        """Bring the runs of the study and its rounds up to date. Whether that took a write."""
        self._told_at = time.monotonic()
        record = self._store.study(self._record.name)
        best = self._store.best(record)
        run = self._runs.get(best.number) if best is not None else None
        page = tracking.page_of(run.id).lstrip("/") if run is not None and run.ended else None
        now = summary_of(self._store, record, best, page, live=self._live)
        text = now.text()
        if text == self._told and self._parent:
            return 0
        self._alone()
        self._parent = tracking.write_parent(self._parent, now)
        for each in now.rounds:
            self._alone()
            known_as = self._rounds.get(each.number)
            self._rounds[each.number] = tracking.write_round(known_as, self._parent, each)
        for digest in [d for d in now.environments if d not in self._kept]:
            tracking.write_environment(self._parent, digest, self._store.environment(digest))
            self._kept.add(digest)
        self._told = text
        self._store.mark_parent(record.id, self._parent, text)
        return 1

    def _keep_weights(self, tracking: Tracking) -> bool:
        """Have the weights with the runs that should have them. Whether that took a write."""
        if self._retrain is None:
            return False
        ended = {number: run.id for number, run in self._runs.items() if run.ended}
        return weights.keep(
            self._store, self._record.name, tracking, ended, self._retrain, self._alone
        )

    # -- reading

    def _with_curves(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Curve, Steps]]:
        for start in range(0, len(trials), _BATCH):
            batch = trials[start : start + _BATCH]
            finished = [trial.number for trial in batch if trial.state.finished]
            curves = self._store.curves(self._record.id, finished)
            steps = self._store.steps(self._record.id, finished)
            for trial in batch:
                number = trial.number
                yield trial, curves.get(number, no_curve()), steps.get(number, NO_STEPS)

    def _commit(self, trial: Trial) -> str | None:
        """The commit that a trial was trained by, where that was recorded."""
        digest = trial.environment
        if digest is None:
            return None
        if digest not in self._commits:
            self._commits[digest] = self._store.environment(digest).get("commit")
        return self._commits[digest]
