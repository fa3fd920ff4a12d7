"""A workspace's places are found whatever its folder is called."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
import sqlalchemy as sa

from hpsearch import settings
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

NAMES = {
    "every printable character": "".join(c for c in string.printable if c != "/"),
    "a question mark": "what?mode=ro",
    "an escape": "a%41%3F",
    "blanks and quotes": "  a 'b' \"c\"  ",
    "other scripts": "größe 雪 🐌",
    "a fragment": "#1;a=b&c",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_of_a_home(tmp_path: Path, name: str) -> None:
    """Both addresses name a file of their own in the workspace, and nothing beside."""
    home = tmp_path / name
    read = settings.read({"HPSEARCH_HOME": str(home)})
    for address, file in ((read.storage, "studies.db"), (read.tracking_uri, "mlflow.db")):
        url = sa.make_url(address)
        assert (str(home / file), {}) == (url.database, dict(url.query))


@MLFLOWS_WARNINGS
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_all_is_kept_in_any_home(tmp_path: Path, name: str) -> None:
    """The ledger, MLflow's database and the artifacts are in it, and nothing is beside it."""
    read = settings.read({"HPSEARCH_HOME": str(tmp_path / name)})
    read.home.mkdir()
    book = Workspace(read.home, read.tracking_uri, storage=read.storage)
    book.complete()
    assert book.sync().mlflow == 6
    assert not book.sync()
    book.check_curves()
    assert "lr = " in book.text(book.runs()[0], "config.toml")
    assert [read.home] == list(tmp_path.iterdir())
    assert {"studies.db", "mlflow.db", "artifacts"} <= {file.name for file in read.home.iterdir()}


def test_current_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is named by its whole path needs no current folder; another says what to do."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert tmp_path / "home" == settings.read({"HPSEARCH_HOME": str(tmp_path / "home")}).home
    with pytest.raises(FileNotFoundError, match=r"current folder was deleted.*HPSEARCH_HOME"):
        settings.read({})
