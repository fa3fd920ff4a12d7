"""Where is everything kept? Read once, from the environment, at the rim."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

VARIABLES = ("HPSEARCH_HOME", "HPSEARCH_STORAGE", "HPSEARCH_ARTIFACTS", "MLFLOW_TRACKING_URI")
"""What they are read from."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The places a workspace consists of."""

    home: Path
    """The workspace's folder, absolute."""
    storage: str
    """SQLAlchemy URL of the study store."""
    tracking_uri: str
    """MLflow's tracking URI: a database URL or a server's address."""
    bucket: str | None = None
    """Where artifacts are kept, such as ``s3://BUCKET/FOLDER``; None for the workspace's folder."""

    @property
    def artifacts(self) -> Path:
        """The workspace's folder of artifacts."""
        return self.home / "artifacts"

    @property
    def artifact_location(self) -> str:
        """Where MLflow keeps artifacts when it has no server of its own."""
        return self.bucket or self.artifacts.as_uri()

    @property
    def cache(self) -> Path:
        """Parsed datasets; may be deleted at any time."""
        return self.home / "cache"

    @property
    def paused(self) -> Path:
        """Trainings that later trials may go on with; may be deleted at any time."""
        return self.home / "paused"


def prepare(home: Path, *, create: bool) -> str | None:
    """Have a workspace that is this user's own: what is in it decides what is trained and run.

    Args:
        home: The workspace's folder.
        create: Make it, for this user alone, if it is not there.

    Returns:
        What there is to be warned of.

    Raises:
        OSError: If it cannot be made.
    """
    if create:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    if not home.exists() or not hasattr(os, "geteuid") or home.stat().st_uid == os.geteuid():
        return None
    return (
        f"{home}: belongs to another user, who can change everything in it; set HPSEARCH_HOME to "
        f"a folder of your own"
    )


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process.

    ``HPSEARCH_HOME`` (default ``.hpsearch`` in the current folder), ``HPSEARCH_STORAGE``
    (default ``studies.db`` there), ``MLFLOW_TRACKING_URI`` (default ``mlflow.db`` there) and
    ``HPSEARCH_ARTIFACTS`` (default ``artifacts`` there).

    Raises:
        FileNotFoundError: If the home is named from a current folder that was deleted.
    """
    given = Path(environ.get("HPSEARCH_HOME") or ".hpsearch").expanduser()
    try:
        home = given.absolute()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{given}: the current folder was deleted; change to another, or set HPSEARCH_HOME to "
            f"an absolute path"
        ) from None
    return Settings(
        home=home,
        storage=environ.get("HPSEARCH_STORAGE") or sqlite(home / "studies.db"),
        tracking_uri=environ.get("MLFLOW_TRACKING_URI") or sqlite(home / "mlflow.db"),
        bucket=(environ.get("HPSEARCH_ARTIFACTS") or "").rstrip("/") or None,
    )


@contextmanager
def scratch(places: Settings) -> Iterator[Settings]:
    """A workspace that is gone afterwards; it shares the parsed datasets with this one."""
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        home = Path(folder)
        if places.cache.is_dir():
            (home / "cache").symlink_to(places.cache, target_is_directory=True)
        yield Settings(home, sqlite(home / "studies.db"), sqlite(home / "mlflow.db"))


def program(called: str | None = None) -> str:
    """How a person calls this program here, as the first word of a command to type.

    Args:
        called: What it was started as; ``sys.argv[0]`` by default.

    Returns:
        ``hpsearch`` where the shell finds it, otherwise a path such as ``.venv/bin/hpsearch``.
    """
    path = Path(sys.argv[0] if called is None else called)
    found = shutil.which("hpsearch")
    if path.name != "hpsearch" or not path.is_file() or (found and path.samefile(found)):
        return "hpsearch"
    with suppress(OSError, ValueError):  # ValueError: it is not below the current folder
        path = path.absolute().relative_to(Path.cwd())
    return shlex.quote(str(path))


def sqlite(file: Path) -> str:
    """The address of an SQLite file, escaped where an address would read it otherwise."""
    return f"sqlite:///{quote(str(file), safe='/ +')}"
