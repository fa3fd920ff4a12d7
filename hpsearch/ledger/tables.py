"""Which tables does the ledger consist of?

They stand beside Optuna's in one database, so each bears a prefix. Times are seconds since 1970 in
UTC by the database's clock, as numbers: no time zone can be mistaken.

A new store gets these tables at once; an older one is brought here by ``migrations/versions``. A
change here needs a migration there, and a test holds the two together.
"""

from __future__ import annotations

import sqlalchemy as sa

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""The migrations, in order."""
REVISION = REVISIONS[-1]
"""The newest of them, and what this program's tables are."""

metadata = sa.MetaData()

version = sa.Table(
    "hpsearch_version",
    sa.MetaData(),  # alembic's own
    sa.Column("version_num", sa.String(32), primary_key=True),
)

studies = sa.Table(
    "hpsearch_studies",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(128), nullable=False, unique=True),
    sa.Column("definition", sa.Text, nullable=False),  # canonical JSON of the study file
    sa.Column("metrics", sa.Text, nullable=False),  # JSON: the names of a curve's columns
    sa.Column("folder", sa.Text),  # the study file's, where it was last run
    sa.Column("budget", sa.Integer, nullable=False),
    sa.Column("next_number", sa.Integer, nullable=False, default=0),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("data_digests", sa.Text, nullable=False),  # JSON: of dataset and parts; facts
    sa.Column("mlflow_run_id", sa.String(64)),  # the parent run
    sa.Column("mlflow_summary", sa.Text),  # what was last written to it, to write nothing twice
    sa.Column("reproduced", sa.Text),  # JSON: the last retraining of the best trial
    sa.Column("ended", sa.Text),  # JSON: what ended it before it had all its trials, and at which
    sa.Column("openings", sa.Text),  # JSON: each opening of the test part, and its result
    # Drawn when it was entered: no other study ever has it, whatever is deleted or restored.
    sa.Column("incarnation", sa.String(32), nullable=False),
    sa.UniqueConstraint("incarnation", name="hpsearch_studies_incarnation_key"),
    sqlite_autoincrement=True,  # an id is never given twice
)

environments = sa.Table(
    "hpsearch_environments",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("content", sa.Text, nullable=False),  # canonical JSON
)

trials = sa.Table(
    "hpsearch_trials",
    metadata,
    sa.Column("study_id", sa.Integer, sa.ForeignKey(studies.c.id), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("params", sa.Text, nullable=False, default="{}"),  # JSON, by path
    sa.Column("epochs", sa.Integer, nullable=False, default=0),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=1),
    sa.Column("crashes", sa.Integer, nullable=False, default=0),  # workers it took down by itself
    sa.Column("started", sa.Double, nullable=False),  # of the first attempt
    sa.Column("ended", sa.Double),
    sa.Column("weights_sha256", sa.String(64)),
    sa.Column("reason", sa.Text),
    sa.Column("rungs", sa.Text, nullable=False, default="{}"),  # Optuna's completed_rung_k
    sa.Column("hidden", sa.Boolean, nullable=False, default=False),  # failed once: see History
    sa.Column("environment", sa.String(64), sa.ForeignKey(environments.c.digest)),
    sa.Column("owner", sa.Text),  # of the lease
    sa.Column("lease_until", sa.Double),
    # The epochs so far of a RUNNING trial, as in ``curves``; each renewal of the lease brings them.
    sa.Column("live", sa.LargeBinary),
    sa.Column("mlflow_run_id", sa.String(64)),
    sa.Column("in_optuna", sa.Boolean, nullable=False, default=False),
    sa.Column("in_mlflow", sa.Boolean, nullable=False, default=False),
    sa.Column("folds", sa.Text),  # JSON: of each training that ended epochs, weight and value
    # NaN is NULL to SQLite, and more than every number to PostgreSQL.
    sa.CheckConstraint(
        "(value IS NOT NULL OR state <> 'COMPLETE') "
        "AND value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
        name="hpsearch_trials_value_check",
    ),
    # All that the counts and the projectors ask again and again.
    sa.Index("hpsearch_trials_by_state", "study_id", "state", "in_optuna", "in_mlflow"),
    sa.Index("hpsearch_trials_by_value", "study_id", "state", "value"),  # the best
)

curves = sa.Table(
    "hpsearch_curves",
    metadata,
    sa.Column("study_id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    # (epochs, metrics) little-endian float64, the columns in the order of the study's metrics
    sa.Column("epochs", sa.LargeBinary, nullable=False),
    # (steps,) little-endian float64: the loss of each mini-batch, where it is recorded
    sa.Column("steps", sa.LargeBinary, nullable=False),
    # records.pack: what each validation example scored at the end of a COMPLETE trial
    sa.Column("outcomes", sa.LargeBinary),
    sa.ForeignKeyConstraint(["study_id", "number"], [trials.c.study_id, trials.c.number]),
)

logs = sa.Table(
    "hpsearch_logs",
    metadata,
    sa.Column("study_id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),  # the end of what a training printed
    sa.ForeignKeyConstraint(["study_id", "number"], [trials.c.study_id, trials.c.number]),
)


def create(connection: sa.Connection) -> None:
    """Make all of them in a database that has none."""
    for part in (version.metadata, metadata):
        part.create_all(connection, checkfirst=False)
    connection.execute(sa.insert(version).values(version_num=REVISION))
