"""What a training printed is kept, and where its study file was."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the folder and the logs."""
    op.add_column("hpsearch_studies", sa.Column("folder", sa.Text))
    op.create_table(
        "hpsearch_logs",
        sa.Column("study_id", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "number"], ["hpsearch_trials.study_id", "hpsearch_trials.number"]
        ),
    )
