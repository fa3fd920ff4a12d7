"""A study keeps how often its test part was opened, and what that showed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the openings."""
    op.add_column("hpsearch_studies", sa.Column("openings", sa.Text))
