"""Scikit-learn's gradient boosting on its breast-cancer data, a stage of trees an epoch."""

from collections.abc import Iterator, Mapping

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

STAGES, EPOCHS = 5, 9  # trees between two reports, and reports


def train(params: Mapping, seed: int) -> Iterator[dict[str, float]]:
    """``STAGES`` trees more an epoch."""
    x, y = load_breast_cancer(return_X_y=True)
    train_x, val_x, train_y, val_y = train_test_split(x, y, test_size=0.3, random_state=0)
    model = GradientBoostingClassifier(
        learning_rate=params["learning_rate"],
        max_depth=params["max_depth"],
        subsample=params["subsample"],
        warm_start=True,
        random_state=seed % 2**32,
    )
    for epoch in range(1, EPOCHS + 1):
        model.set_params(n_estimators=STAGES * epoch).fit(train_x, train_y)
        yield {
            "val_accuracy": model.score(val_x, val_y),
            "val_loss": log_loss(val_y, model.predict_proba(val_x)),
        }
