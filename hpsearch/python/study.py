"""What is a study in Python? Its definition, and what this workspace has of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from hpsearch import settings
from hpsearch.errors import UsageError
from hpsearch.python.functions import named
from hpsearch.python.kept import Kept
from hpsearch.python.spaces import plain
from hpsearch.study import config, file, source

if TYPE_CHECKING:
    from hpsearch.ledger.records import Opened
    from hpsearch.training.predictor import Predictor
    from hpsearch.training.seam import Trainer
    from hpsearch.trust.confirming import Confirmation


class Search(TypedDict, total=False):
    """How a study searches: a study file's ``[search]``."""

    sampler: str
    trials: int
    metric: str
    direction: str
    also: Mapping[str, str]
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
    p_threshold: float
    stall: int
    lower: float
    upper: float
    enqueue: Sequence[Mapping[str, Any]]
    history: Sequence[Mapping[str, Any]]
    rounds: int | Sequence[int]
    limits: Mapping[str, Any]


class Study(Kept):
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
    def of(cls, definition: config.Study, folder: Path) -> Study:
        """The study of a file."""
        made = cls.__new__(cls)
        made._set(definition, folder)
        return made

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

    def confirm(
        self,
        *,
        top: int | None = None,
        seeds: int | None = None,
        resplit: bool | None = None,
        workers: int | None = None,
        tracking: bool = True,
    ) -> Confirmation:
        """Train the best trials with new seeds, as ``hpsearch confirm`` does, or go on with it.

        Args:
            top: How many of the best trials, 8 by default; a baseline comes beside them.
            seeds: New seeds for each, 5 by default.
            resplit: Whether to draw the training and validation part again for each seed. None
                does so, except for a training of your own.
            workers: Processes, as of ``run``.
            tracking: Whether MLflow is written, too.

        Returns:
            What that showed: ``winner`` with its ``estimate`` and the probability ``best``, the
            ``contenders``, those that are ``alike``, and the ``luck`` of the search's best value.

        Raises:
            UsageError: If the study is not finished, or the store has another confirmation of it.
            HpsearchError: If no configuration was trained with all its seeds.
        """
        from hpsearch.commands.confirm import asked, outcome, searched
        from hpsearch.python import running

        _whole("top", top, 1, 100)
        _whole("seeds", seeds, 2, 1000)
        size = self._workers(workers)
        store = self._open()
        record = self._same(searched(store, self.name))
        definition = asked(store, record, top, seeds, resplit)
        trainer = self._unchanged(record, here=size == 0)
        own = running.run_given(
            store, record, definition, trainer, size, self._places, tracking=tracking
        )
        if tracking:
            running.tell(store, record, self._places)
        return outcome(store, record, own)

    def refit(
        self, ensemble: int | None = None, *, workers: int | None = None, tracking: bool = True
    ) -> Predictor:
        """Train what was chosen on the training and validation part, as ``hpsearch refit`` does.

        Args:
            ensemble: How many of the best configurations, whose outputs are averaged: by default
                one, or as many as the refit in the store has.
            workers: Processes, as of ``run``.
            tracking: Whether MLflow is written, too.

        Returns:
            What predicts: ``answers``, ``probabilities`` or ``numbers`` of examples as the dataset
            has them, (n, …).

        Raises:
            UsageError: If the study is not finished, or has fewer configurations or another refit.
            HpsearchError: If no network was trained to its end.
        """
        from hpsearch.commands.confirm import searched
        from hpsearch.commands.refit import ended
        from hpsearch.commands.wiring import unchanged_trainer
        from hpsearch.python import running
        from hpsearch.trust.refit import asked, predictor

        _whole("ensemble", ensemble, 1, 100)
        size = self._workers(workers)
        store = self._open()
        record = self._same(searched(store, self.name))
        definition = asked(store, record, ensemble)
        trainer = unchanged_trainer(replace(record, study=definition))
        running.run_given(store, record, definition, trainer, size, self._places, tracking=tracking)
        if tracking:
            running.tell(store, record, self._places)
        return predictor(store, ended(store, record), trainer, self._places)

    def test(
        self,
        *,
        seeds: int = 5,
        again: bool = False,
        workers: int | None = None,
        tracking: bool = True,
    ) -> Opened:
        """Open the sealed test part, as ``hpsearch test`` does: once.

        Args:
            seeds: New seeds for the chosen configuration, and for the baseline.
            again: Open it once more. That is said for ever.
            workers: Processes, as of ``run``.
            tracking: Whether MLflow is written, too.

        Returns:
            What that showed: ``value`` with its 95 % interval ``low`` to ``high``, that of the
            ``baseline``, and the probability of being ``better``.

        Raises:
            UsageError: If it was opened before, or the study is not finished, or has no test part.
        """
        from hpsearch.commands.confirm import searched
        from hpsearch.commands.opening import open_once, opened_before
        from hpsearch.python import running
        from hpsearch.report import opened

        _whole("seeds", seeds, 2, 1000)
        size = self._workers(workers)
        store = self._open()
        record = self._same(searched(store, self.name))
        if opened_before(record) and not again:
            shown = "; ".join(opened.lines(record.openings))
            raise UsageError(
                f"{shown}; to open it once more, and have that said for ever: again=True"
            )

        def run(definition: config.Study, trainer: Trainer) -> None:
            running.run_given(
                store, record, definition, trainer, size, self._places, tracking=tracking
            )

        record = open_once(store, record, seeds, run)
        if tracking:
            running.tell(store, record, self._places)
        result = record.openings[-1].result
        assert result is not None
        return result


def _whole(name: str, value: int | None, low: int, high: int) -> None:
    given = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (given and low <= value <= high):
        raise UsageError(f"{name}: must be a whole number from {low} to {high}, not {value!r}")
