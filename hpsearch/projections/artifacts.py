"""Where do a workspace's artifacts lie, now that it was moved or copied?

MLflow writes the whole path of every experiment's and run's artifacts into its database. One that
lies in a workspace is moved and copied with it; what it names is then another workspace's, or
nothing.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where MLflow's tables name places of artifacts."""
_PATIENCE = 20.0
"""Seconds to wait for another who writes."""


def follow(file: Path, artifacts: Path) -> None:
    """Have MLflow's database in a workspace name the workspace's own artifacts.

    What was put elsewhere on purpose, and never was in the workspace's folder, stays as it is.

    Args:
        file: The database.
        artifacts: The workspace's folder of artifacts.
    """
    here = artifacts.as_uri()
    with closing(sqlite3.connect(file, timeout=_PATIENCE)) as connection:
        moved = _roots(connection) - {here}
        if not moved:
            return
        with connection:
            for table, column in _PLACES:
                for there in moved:
                    connection.execute(
                        f"UPDATE {table} SET {column} = :here || substr({column}, :length + 1) "
                        f"WHERE {column} = :there OR substr({column}, 1, :length + 1) = :below",
                        {
                            "here": here,
                            "there": there,
                            "below": f"{there}/",
                            "length": len(there),
                        },
                    )


def _roots(connection: sqlite3.Connection) -> set[str]:
    """The folders of artifacts that this database was made with: MLflow's default, and ours."""
    locations = connection.execute(
        "SELECT artifact_location FROM experiments WHERE experiment_id = 0 UNION "
        "SELECT e.artifact_location FROM experiments e JOIN experiment_tags t "
        "ON t.experiment_id = e.experiment_id WHERE t.key = 'hpsearch.study'"
    )
    roots = {location.removesuffix("/0") for (location,) in locations if location}
    return {root for root in roots if root.startswith("file:///") and root.endswith("/artifacts")}
