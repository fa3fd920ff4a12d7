"""Somebody's storage of Optuna's is read as it is, and not a byte of it is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from hpsearch.errors import StoreOpenError, UnknownStudyError
from hpsearch.trust.audit import Seen
from hpsearch.trust.optuna_studies import opened, studies

X = {"x": optuna.distributions.FloatDistribution(0, 1)}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[optuna.storages.JournalStorage]:
    """A storage in a file, which takes no while to make."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield optuna.storages.JournalStorage(JournalFileBackend(str(tmp_path / "log")))
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def made(storage: Any, name: str, directions: list[str]) -> optuna.Study:
    """A study in it."""
    return optuna.create_study(storage=storage, study_name=name, directions=directions)


def test_all_that_a_trial_shows(journal: optuna.storages.JournalStorage, tmp_path: Path) -> None:
    """Number, state, value, what it tried, its curve in the order of the steps, and its times."""
    study = made(journal, "one", ["maximize"])
    study.add_trial(
        create_trial(
            params={"x": 0.5},
            distributions=X,
            values=[3.0],
            intermediate_values={5: 0.2, 1: 0.1},
        )
    )
    study.add_trial(create_trial(state=TrialState.WAITING))
    (found,) = studies(f"journal:{tmp_path / 'log'}")
    whole = study.trials[0]
    assert isinstance(whole.datetime_start, datetime)
    assert isinstance(whole.datetime_complete, datetime)
    assert (found.name, found.maximize) == ("one", True)
    assert found.trials == [
        Seen(
            number=0,
            state="COMPLETE",
            value=3.0,
            params='{"x":"0.5"}',
            curve=[0.1, 0.2],
            started=whole.datetime_start.timestamp(),
            ended=whole.datetime_complete.timestamp(),
        ),
        Seen(1, "WAITING", None, "", [], None, None),
    ]


def test_what_is_better(journal: optuna.storages.JournalStorage, tmp_path: Path) -> None:
    """More, or less; of several objectives there is no one value."""
    for name, directions in (
        ("more", ["maximize"]),
        ("less", ["minimize"]),
        ("both", ["maximize", "minimize"]),
    ):
        study = made(journal, name, directions)
        study.add_trial(create_trial(values=[1.0] * len(directions)))
    url = f"journal:{tmp_path / 'log'}"
    found = {study.name: (study.maximize, study.trials[0].value) for study in studies(url)}
    assert found == {"more": (True, 1.0), "less": (False, 1.0), "both": (None, None)}
    assert [study.name for study in studies(url, "less")] == ["less"]
    with pytest.raises(UnknownStudyError, match="holds no study 'other'"):
        studies(url, "other")


def test_nothing_is_changed(journal: optuna.storages.JournalStorage, tmp_path: Path) -> None:
    """What is written into it while it is open is written into a copy."""
    made(journal, "one", ["maximize"])
    before = (tmp_path / "log").read_bytes()
    with opened(f"journal:{tmp_path / 'log'}") as (storage, (study,)):
        storage.create_new_trial(study._study_id)
    assert (tmp_path / "log").read_bytes() == before


def test_an_empty_storage(journal: optuna.storages.JournalStorage, tmp_path: Path) -> None:
    """It holds no study, and that is said."""
    made(journal, "gone", ["maximize"])
    optuna.delete_study(study_name="gone", storage=journal)
    with pytest.raises(UnknownStudyError, match=r"holds no study$"):
        studies(f"journal:{tmp_path / 'log'}")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """No address, no file, a folder, and a database that is not Optuna's."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
        other.execute("CREATE TABLE t (a)")
    for url, said in (
        ("nothing", "nothing: is no address, such as sqlite:///study.db"),
        ("sqlite://", "there is no such file"),
        (f"sqlite:///{tmp_path}", "there is no such file"),
        (f"sqlite:///{tmp_path / 'gone.db'}", "there is no such file"),
        ("journal:", "there is no such file"),
        (f"sqlite:///{tmp_path / 'other.db'}", "cannot be read: "),
    ):
        with pytest.raises(StoreOpenError, match=said):
            studies(url)
    assert not (tmp_path / "gone.db").exists()


def test_a_file_of_sqlite(tmp_path: Path) -> None:
    """It may be in use: one state of it is read, and nothing of it changes."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    made(storage, "one", ["minimize"]).add_trial(create_trial(value=2.0))
    storage.remove_session()
    storage.engine.dispose()
    before = (tmp_path / "study.db").read_bytes()
    with closing(sqlite3.connect(tmp_path / "study.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        (found,) = studies(f"sqlite:///{tmp_path / 'study.db'}")
    assert (found.maximize, found.trials[0].value) == (False, 2.0)
    with opened(f"sqlite:///{tmp_path / 'study.db'}") as (storage_, (study,)):
        storage_.create_new_trial(study._study_id)
    assert (tmp_path / "study.db").read_bytes() == before
