"""What is a study in Python? Its definition, and what this workspace has of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from hpsearch import settings
from hpsearch.errors import NoStoreError, UnknownStudyError, UnknownTrialError, UsageError
from hpsearch.python.functions import named
from hpsearch.python.spaces import plain
from hpsearch.study import config, file, source

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.ledger.records import StudyRecord, Trial
    from hpsearch.ledger.store import Store
    from hpsearch.training.seam import Trainer
    from hpsearch.trust.reproduce import Reproduction


class Search(TypedDict, total=False):
    """How a study searches: a study file's ``[search]``."""

    sampler: str
    trials: int
    metric: str
    direction: str
    max_time: float | str
    max_epochs: int
    target: float
    patience: int
    gain: float | str
    seed: int
    lag: int
    startup: int
    population: int
    pruner: str
    min_epochs: int
    reduction_factor: int
    repeat: bool
    percentile: float
    stall: int
    lower: float
    upper: float
    enqueue: Sequence[Mapping[str, Any]]
    history: Sequence[Mapping[str, Any]]
    rounds: int | Sequence[int]
    limits: Mapping[str, Any]


class Study:
    """A study: the same as a study file, and as what has been run of it in this workspace.

        >>> def train(params, seed):
        ...     for epoch in range(10):
        ...         yield {"val_loss": ...}
        >>> study = hpsearch.Study(
        ...     "mine",
        ...     function=train,
        ...     params={"lr": hpsearch.Float(1e-5, 1e-1, log=True), "depth": 3},
        ...     metrics=["val_loss"],
        ...     trials=20,
        ... )
        >>> study.run(workers=2)
        >>> study.best.params

    Worker processes import the function, so it is to be in a module. One that they cannot import (a
    lambda, a function of a notebook or of a script) runs in this process, with ``workers=0``. Its
    code, its defaults, and the plain values and functions of its module that it names belong to
    the study, as the file of a module does.

    Args:
        name: The study's name.
        function: What trains: called with ``(params, seed)``, or ``(params, seed, trial)``; or
            its name, ``"module:function"``. A generator of an epoch's metrics by name each, which
            may return arrays by name; or a function that returns one such mapping of metrics.
        params: What the function gets, by name: a value each, a ``Float``, an ``Int`` or a
            ``Choice``. Tables in it are names with dots.
        metrics: The names of what it reports, the first of which is looked at unless ``metric``
            says otherwise.
        objective: More of a study file's ``[objective]``: ``epochs``, ``files``, ``timeout``, or
            a ``command`` in place of the function.
        data, network, training: In place of a function, a study file's tables of that name.
        tracking, compute: A study file's ``[tracking]`` and ``[compute]``.
        folder: Where files of the study are; by default that of the function's module, or the
            current one.
        search: The keys of a study file's ``[search]``.

    Raises:
        StudyFileError: If this is no valid study; the message names the key as a file has it.
    """

    _function: Callable[..., Any] | None
    """What is called where the study runs in this process."""
    _local: bool
    """Whether it can run nowhere else."""

    def __init__(
        self,
        name: str,
        *,
        function: Callable[..., Any] | str | None = None,
        params: Mapping[str, Any] | None = None,
        metrics: Sequence[str] = (),
        objective: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        network: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        tracking: Mapping[str, Any] | None = None,
        compute: Mapping[str, Any] | None = None,
        folder: str | os.PathLike[str] | None = None,
        **search: Unpack[Search],
    ) -> None:
        own: dict[str, Any] = dict(objective or {})
        known = None
        if isinstance(function, str):
            own["function"] = function
        elif function is not None:
            known = named(function)
            own["function"] = known.name
        if metrics:
            own["metrics"] = [metrics] if isinstance(metrics, str) else metrics
        tables: dict[str, Any] = {"objective": own, "params": params, "data": data}
        tables |= {"network": network, "training": training, "tracking": tracking, "search": search}
        tables["compute"] = compute
        given = {key: plain(table) for key, table in tables.items() if table}
        source.check(given)
        at = folder if folder is not None else known.folder if known is not None else None
        self._set(file.parse({"name": name, **given}), Path(at or ""))
        if known is not None and callable(function):
            self._function, self._local = function, known.local

    def _set(self, definition: config.Study, folder: Path) -> None:
        self._definition = definition
        self._folder = folder.absolute()
        self._places = settings.read()
        self._function = None
        self._local = False

    @classmethod
    def _of(cls, definition: config.Study, folder: Path) -> Study:
        """The study of a file."""
        made = cls.__new__(cls)
        made._set(definition, folder)
        return made

    def __repr__(self) -> str:
        return f"hpsearch.Study({self.name!r})"

    @property
    def name(self) -> str:
        """The study's name."""
        return self._definition.name

    def toml(self) -> str:
        """The study as a file, with every default written out."""
        return file.toml(self._definition)

    # -- running

    def run(
        self,
        trials: int | None = None,
        *,
        workers: int | None = None,
        tracking: bool = True,
        lower: bool = False,
    ) -> Study:
        """Run the study, or go on with it, until it has all its trials.

        It may be interrupted, and goes on when it is run again. Progress is shown on standard
        error in a terminal or a notebook, and nowhere else.

        Args:
            trials: Finished trials in total, in place of the study's own number.
            workers: Processes: by default one a core, or none for a function that they cannot
                import. With 0 everything runs in this process.
            tracking: Whether MLflow is written, too.
            lower: Whether a study in the store may end with fewer trials than before.

        Returns:
            The study.

        Raises:
            UsageError: If workers are asked for that cannot import the function, or the study in
                the store has another definition or data, or more trials to do.
            HpsearchError: If no trial completed, or the store or MLflow failed on the way.
        """
        from hpsearch.commands.wiring import own_home
        from hpsearch.python import running
        from hpsearch.work.session import begin

        size = self._workers(workers)
        definition = self._definition
        if trials is not None:
            definition = file.changed(definition, [f"search.trials={file.inline(plain(trials))}"])
        own_home(self._places, create=True)
        trainer = self._trainer(here=size == 0)
        store = self._open(create=True)
        session = begin(
            store,
            definition,
            trainer,
            self._folder,
            self._places,
            tracking=tracking,
            lower=lower,
        )
        running.run(session, size)
        return self

    def _workers(self, asked: int | None) -> int:
        from hpsearch.work.launch import default_workers

        if asked is None:
            return 0 if self._local else default_workers()
        if isinstance(asked, bool) or not isinstance(asked, int) or asked < 0:
            raise UsageError(f"workers: must be a whole number, 0 or more, not {asked!r}")
        if asked and self._local:
            path = self._definition.objective and self._definition.objective.function
            raise UsageError(
                f"workers: no process but this one can import {path}, which is a lambda, or of a "
                f"notebook or script; run with workers=0, or move the function to a module"
            )
        return asked

    def _trainer(self, *, here: bool) -> Trainer:
        """What trains the trials: in this process if that is asked for, and can be."""
        from hpsearch.training.make import folded, trainer

        objective = self._definition.objective
        if self._function is not None and objective is not None and (here or self._local):
            from hpsearch.training.local import LocalTrainer

            local = LocalTrainer(objective, self._folder, self._function)
            return folded(self._definition, local)
        return trainer(self._definition, self._folder, self._places.cache)

    # -- looking

    @property
    def trials(self) -> list[Trial]:
        """The trials that have been begun, in the order of their numbers."""
        try:
            record = self._record()
        except (NoStoreError, UnknownStudyError):
            return []
        return self._open().trials(record.id)

    @property
    def best(self) -> Trial:
        """The COMPLETE trial with the best value, the first of them where several have it.

        Raises:
            HpsearchError: If there is none yet.
        """
        from hpsearch.commands.wiring import best_of

        return best_of(self._open(), self._record())

    @property
    def digest(self) -> str:
        """One SHA-256 over all finished trials, as of ``hpsearch digest``.

        Raises:
            UsageError: If the study has not been run here.
        """
        from hpsearch.ledger.records import digest

        store, record = self._open(), self._record()
        return digest(store.finished(record.id), store.steps(record.id))

    def frame(self) -> pd.DataFrame:
        """The trials as a table: a row each, in the order of their numbers.

        The columns are ``number``, ``state``, ``value``, one for each open place by its path, such
        as ``training.lr`` or ``params.lr``, and ``epochs``, ``seed``, ``attempts``, ``started``
        and ``ended`` (UTC), ``reason``, ``weights_sha256``, ``mlflow_run_id``.
        """
        from hpsearch.report.frame import frame

        return frame(self._definition, self.trials)

    def reproduce(self, trial: int | None = None) -> Reproduction:
        """Train a trial again, and compare every epoch and the weights.

        Args:
            trial: Its number; by default that of the best.

        Returns:
            What that showed: ``identical`` says whether every bit is the same.

        Raises:
            UnknownTrialError: If there is no such trial, or it has not finished.
            NotComparableError: If the data is no longer what the study was run on.
        """
        from hpsearch.trust.reproduce import reproduce

        store, record = self._open(), self._record()
        found = store.best(record) if trial is None else store.trial(record.id, trial)
        if found is None:
            raise UnknownTrialError(f"{self.name!r} has no COMPLETE trial to reproduce")
        return reproduce(store, record, found, self._trainer(here=False), self._places)

    def report(self, folder: str | os.PathLike[str] | None = None) -> list[Path]:
        """Draw the study, as ``hpsearch report`` does.

        Args:
            folder: Where to; by default ``reports`` in the workspace.

        Returns:
            The files that were written.

        Raises:
            HpsearchError: If there is nothing to draw yet.
            StudyChangedError: If the data is no longer what the study was run on.
        """
        from hpsearch.ledger.changes import refuse_change
        from hpsearch.report import figures, page

        store, record = self._open(), self._record()
        place = self._places.home / "reports" if folder is None else Path(folder)

        @cache
        def trainer() -> Trainer:
            made = self._trainer(here=False)
            refuse_change(record, self._definition, made.digests)
            return made

        text = page.html(store, record, trainer)
        drawn = figures.draw(store, record, trainer)
        files = [page.write(text, self.name, place), *figures.write(drawn, place)]
        figures.track(self._places, record, files)
        return files

    # -- the workspace

    def _open(self, *, create: bool = False) -> Store:
        from hpsearch.ledger.database import Database
        from hpsearch.ledger.store import Store

        return Store(Database(self._places.storage, create=create))

    def _record(self) -> StudyRecord:
        """The study in the store, where it is still this one."""
        from hpsearch.ledger.changes import refuse_change

        record = self._open().study(self.name)
        refuse_change(record, self._definition, record.data_digests)
        return record


def load(
    study: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None, **tables: Any
) -> Study:
    """Read a study file, or a study in the store of which there is no file.

        >>> hpsearch.load("book", {"training.epochs": 5}, name="mine")
        hpsearch.Study('mine')
        >>> hpsearch.load("book", training={"lr": hpsearch.Float(1e-4, 1e-2, log=True)})
        hpsearch.Study('book')

    Args:
        study: The file, or the name of one in ``studies/`` or of a study in the store.
        overrides: Other values, by their paths.
        tables: Other values, by a table's name; ``name`` is the study's.

    Raises:
        StudyFileError: If there is no such file, or it is no valid study.
    """
    from hpsearch.commands.wiring import find, find_stored

    changes = {**dict(_flat(plain(overrides or {}))), **dict(_flat(plain(tables)))}
    lines = [f"{key}={file.inline(value)}" for key, value in changes.items()]
    stored = find_stored(os.fspath(study))
    if stored is not None:
        return Study._of(file.changed(stored.study, lines), Path(stored.folder or ""))
    path = find(os.fspath(study))
    return Study._of(file.load(path, lines), path.absolute().parent)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry by its path. A range, choices, and layers by depth and width are one each."""
    for key, value in table.items():
        path, parts = f"{prefix}{key}", value.keys() if isinstance(value, Mapping) else set()
        layers = path == "network.hidden" and {"depth", "width"} <= parts
        if isinstance(value, Mapping) and not {"low", "high", "choices"} & parts and not layers:
            yield from _flat(value, f"{path}.")
        else:
            yield path, value
