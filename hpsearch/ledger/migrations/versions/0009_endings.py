"""A study keeps what ended it before it had all its trials."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add what ended it."""
    op.add_column("hpsearch_studies", sa.Column("ended", sa.Text))
