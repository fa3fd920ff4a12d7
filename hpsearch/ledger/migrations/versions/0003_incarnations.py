"""A study is told from any other that ever had its id, and no value is other than finite."""

import secrets
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_FINITE = (
    "(value IS NOT NULL OR state <> 'COMPLETE') "
    "AND value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"
)

_studies = sa.table("hpsearch_studies", sa.column("id"), sa.column("incarnation"))


def upgrade() -> None:
    """Give each study a name of its own, never an id twice, and hold values to be finite."""
    op.add_column("hpsearch_studies", sa.Column("incarnation", sa.String(32)))
    connection = op.get_bind()
    for id_ in connection.execute(sa.select(_studies.c.id)).scalars().all():
        one = sa.update(_studies).where(_studies.c.id == id_)
        connection.execute(one.values(incarnation=secrets.token_hex(16)))
    # SQLite gives the highest id again once its study is deleted, unless it is told not to.
    never_twice = {"sqlite_autoincrement": True}
    with op.batch_alter_table(
        "hpsearch_studies", recreate=_recreate(), table_kwargs=never_twice
    ) as batch:
        batch.alter_column("incarnation", existing_type=sa.String(32), nullable=False)
        batch.create_unique_constraint("hpsearch_studies_incarnation_key", ["incarnation"])
    # What was entered as COMPLETE without a finite value has diverged. Its copies say otherwise.
    op.execute(
        "UPDATE hpsearch_trials SET state = 'PRUNED', reason = 'diverged', value = NULL, "
        f"weights_sha256 = NULL, in_optuna = {_false()}, in_mlflow = {_false()} "
        f"WHERE state = 'COMPLETE' AND NOT coalesce({_FINITE}, {_false()})"
    )
    op.execute(f"UPDATE hpsearch_trials SET value = NULL WHERE NOT coalesce({_FINITE}, {_true()})")
    with op.batch_alter_table("hpsearch_trials", recreate=_recreate()) as batch:
        batch.create_check_constraint("hpsearch_trials_value_check", _FINITE)


def _recreate() -> Literal["always", "never"]:
    return "always" if op.get_bind().dialect.name == "sqlite" else "never"


def _false() -> str:
    return "0" if op.get_bind().dialect.name == "sqlite" else "false"


def _true() -> str:
    return "1" if op.get_bind().dialect.name == "sqlite" else "true"
