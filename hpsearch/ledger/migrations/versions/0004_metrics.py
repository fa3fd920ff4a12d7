"""A study keeps the names of its curves' columns; the older ones all had the same four."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_FOUR = '["train_loss","train_accuracy","val_loss","val_accuracy"]'


def upgrade() -> None:
    """Add the names. SQLite adds no column without a default to a table that has rows."""
    op.add_column(
        "hpsearch_studies",
        sa.Column("metrics", sa.Text, nullable=False, server_default=_FOUR),
    )
