"""Counts, the best trial, and what the projections lack are found without reading all trials."""

from alembic import op

revision = "0002"
down_revision = "0001"

_TRIALS = "hpsearch_trials"


def upgrade() -> None:
    """Lengthen one index by the projections' marks, and add one."""
    op.drop_index("hpsearch_trials_by_state", _TRIALS)
    op.create_index(
        "hpsearch_trials_by_state", _TRIALS, ["study_id", "state", "in_optuna", "in_mlflow"]
    )
    op.create_index("hpsearch_trials_by_value", _TRIALS, ["study_id", "state", "value"])
