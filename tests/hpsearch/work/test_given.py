"""A study whose trials are given runs like any other: claims, leases, projections and verify."""

from __future__ import annotations

import sqlite3
import threading
import tomllib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hpsearch.data.datasets import load
from hpsearch.data.splits import split
from hpsearch.errors import StudyFileError, UnknownTrialError
from hpsearch.ledger import records
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import State
from hpsearch.projections.projector import Projector
from hpsearch.search import race
from hpsearch.study import file as study_file
from hpsearch.study.config import Study
from hpsearch.training import make
from hpsearch.trust.reproduce import reproduce
from hpsearch.verify import findings, look
from hpsearch.work.session import Session, begin
from hpsearch.work.worker import Worker
from tests.conftest import study
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

pytestmark = MLFLOWS_WARNINGS
POINTS = [
    {"training.lr": 1.0, "network.dropout": 0.0},
    {"training.lr": 0.5, "network.dropout": 0.0},
    {"training.lr": 0.001, "network.dropout": 0.5},
]


def given(seeds: int = 5, *, resplit: bool = False) -> Study:
    """Three configurations, the last of which trains to nothing."""
    table = study(training__epochs=8).definition()
    table["name"] = "small/confirm"
    table["search"] = {"sampler": "given"}
    table["given"] = {
        "study": "small",
        "configurations": [{"trial": n, "values": point} for n, point in enumerate(POINTS)],
        "seeds": list(range(11, 11 + seeds)),
        **({"draws": list(range(1, 1 + seeds))} if resplit else {}),
    }
    return study_file.parse(table)


def begun(home: Path, definition: Study) -> Session:
    """The study in a new workspace."""
    place = Workspace(home)
    trainer = make.trainer(definition, home, home / "cache")
    return begin(place.store, definition, trainer, home, place.settings)


def run(session: Session, workers: int) -> str:
    """Run it by so many workers, each a thread; its digest."""
    threads = [
        threading.Thread(
            target=Worker(session.store, session.record, session.trainer, Owner.of(index + 1)).run,
            args=(threading.Event(),),
        )
        for index in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store, study_id = session.store, session.record.id
    return records.digest(store.finished(study_id), store.steps(study_id))


def test_one_digest_whoever_runs_it(tmp_path: Path) -> None:
    """One worker or three: the same trials, and the same ones are left out by the race."""
    for name in ("one", "three"):
        (tmp_path / name).mkdir()
    session = begun(tmp_path / "one", given())
    assert run(session, 1) == run(begun(tmp_path / "three", given()), 3)
    trials = session.store.trials(session.record.id)
    assert [trial.seed for trial in trials] == [11] * 3 + [12] * 3 + [13] * 3 + [14] * 3 + [15] * 3
    assert [dict(trial.params) for trial in trials] == POINTS * 5
    raced = [trial for trial in trials if trial.reason == race.REASON]
    assert [trial.number for trial in raced] == [12, 14]
    ended = {(trial.state, trial.epochs, trial.value) for trial in raced}
    assert ended == {(State.PRUNED, 0, None)}
    with pytest.raises(UnknownTrialError, match="was not trained"):
        reproduce(session.store, session.record, raced[0], session.trainer)


def test_projected_and_verified(tmp_path: Path) -> None:
    """Its trials are in MLflow and Optuna's storage, and every promise is kept."""
    session = begun(tmp_path, given())
    run(session, 1)
    session.projector.sync()
    seen = look.take(session.store.database, "small/confirm", session.settings)
    found = findings.judge(seen)
    assert found.violations == []
    assert not Projector(session.store, "small/confirm", session.settings).sync()
    session.store.database.engine.dispose()
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection:
        connection.execute("UPDATE hpsearch_trials SET seed = 5 WHERE number = 4")
        connection.execute("UPDATE hpsearch_trials SET params = '{}' WHERE number = 12")
        connection.commit()
    seen = look.take(session.store.database, "small/confirm", session.settings)
    details = [v.detail for v in findings.judge(seen).violations if v.invariant == "given"]
    assert details == [
        "trial 4 has seed 5, not 12",
        'trial 12 has values {}, not {"network.dropout":0.0,"training.lr":1.0}',
    ]


def test_other_draws(tmp_path: Path) -> None:
    """Each seed sees its own draw, never the test part, and its trial's file names the draw."""
    definition = given(2, resplit=True)
    session = begun(tmp_path, definition)
    run(session, 1)
    trials = session.store.trials(session.record.id)
    outcome = reproduce(session.store, session.record, trials[3], session.trainer)
    assert outcome.identical
    alone = definition.of_trial(3, definition.resolve(trials[3].params, trials[3].seed))
    assert alone.name == "small-confirm-trial-3"
    assert alone.data is not None
    assert alone.data.draw == 2
    again = make.trainer(study_file.parse(alone.definition()), tmp_path, tmp_path / "cache")
    training = again.train(alone.resolve({}, 0))
    assert len(list(training)) == 8
    assert training.sha256 == trials[3].weights_sha256


@pytest.mark.parametrize("duplicates", [None, "together"])
def test_a_draw_stays_within_what_is_not_sealed(duplicates: str | None) -> None:
    """Another draw has parts of the same sizes, from the same examples, and the same test part."""
    asked = {"train": 100, "validation": 0.3, "seed": 4, "duplicates": duplicates}
    found = load("digits")
    first, *others = (split(found, **asked, draw=draw) for draw in (None, 1, 2))
    seen = {(*first.train.rows.tolist(), *first.validation.rows.tolist())}
    for other in others:
        both = np.concatenate([other.train.rows, other.validation.rows])
        assert set(first.train.rows) | set(first.validation.rows) == set(both)
        assert (len(other.train.rows), len(other.validation.rows)) == (70, 30)
        assert first.test.rows.tolist() == other.test.rows.tolist()
        seen.add((*other.train.rows.tolist(), *other.validation.rows.tolist()))
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("name", "small", "name: must be 'small/confirm', of the study in [given]"),
        ("search.sampler", "random", 'search.sampler: must be "given" in a study with a table'),
        ("search.pruner", "median", "search: a study with a table [given] has no pruner"),
        ("given.seeds", [1, 1], "given.seeds: must be different from each other"),
        ("given.draws", [1], "given.draws: must be as many as given.seeds"),
        ("given.study", "a/b", "name: 'a/b' has a slash"),
        ("training.seed", 3, "given: has seeds of its own; remove the other seed"),
        (
            "given.configurations",
            [{"values": {"training.lr": 0.5}}],
            "given.configurations[0].values: network.dropout is missing",
        ),
        (
            "given.configurations",
            [{"value": {"training.lr": 0.5}}],
            "given.configurations.0.value: unknown key; did you mean values?",
        ),
    ],
)
def test_what_is_wrong_is_said(path: str, value: object, said: str) -> None:
    """Each mistake in one line that names its place."""
    table = given().definition()
    *sections, key = path.split(".")
    place = table
    for section in sections:
        place = place[section]
    place[key] = value
    with pytest.raises(StudyFileError) as error:
        study_file.parse(table)
    assert str(error.value).startswith(said)


def test_given_needs_its_table() -> None:
    """The sampler without the table says nothing."""
    with pytest.raises(StudyFileError, match="needs a table"):
        study(search__sampler="given")


def test_written_and_read_again() -> None:
    """As a file it is the same study."""
    definition = given(resplit=True)
    assert study_file.parse(tomllib.loads(study_file.toml(definition))) == definition
