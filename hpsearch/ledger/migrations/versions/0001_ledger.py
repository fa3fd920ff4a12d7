"""The ledger's first form: studies, trials, curves and environments."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "hpsearch_studies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("budget", sa.Integer, nullable=False),
        sa.Column("next_number", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("data_digests", sa.Text, nullable=False),
        sa.Column("mlflow_run_id", sa.String(64)),
        sa.Column("mlflow_summary", sa.Text),
        sa.Column("reproduced", sa.Text),
    )
    op.create_table(
        "hpsearch_environments",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "hpsearch_trials",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("hpsearch_studies.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("weights_sha256", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("rungs", sa.Text, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("environment", sa.String(64), sa.ForeignKey("hpsearch_environments.digest")),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", sa.Double),
        sa.Column("mlflow_run_id", sa.String(64)),
        sa.Column("in_optuna", sa.Boolean, nullable=False),
        sa.Column("in_mlflow", sa.Boolean, nullable=False),
    )
    op.create_index("hpsearch_trials_by_state", "hpsearch_trials", ["study_id", "state"])
    op.create_table(
        "hpsearch_curves",
        sa.Column("study_id", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("epochs", sa.LargeBinary, nullable=False),
        sa.Column("steps", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "number"], ["hpsearch_trials.study_id", "hpsearch_trials.number"]
        ),
    )
