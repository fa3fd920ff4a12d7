"""A trial that trains several times keeps where each training ended, and what it came to."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the folds."""
    op.add_column("hpsearch_trials", sa.Column("folds", sa.Text))
