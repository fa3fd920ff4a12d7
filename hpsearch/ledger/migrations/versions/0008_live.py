"""A running trial shows how far it has come."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the epochs so far."""
    op.add_column("hpsearch_trials", sa.Column("live", sa.LargeBinary))
