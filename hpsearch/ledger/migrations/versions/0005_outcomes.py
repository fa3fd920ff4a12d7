"""A trial keeps what each validation example scored; the older ones do not know."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the outcomes."""
    op.add_column("hpsearch_curves", sa.Column("outcomes", sa.LargeBinary))
