"""How does MLflow serve a network? The script that a registered model takes along.

MLflow runs a copy of it wherever the model is loaded (models from code); nothing is pickled, and
nothing imports it here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hpsearch_model.training.predictor import Predictor  # type: ignore[import-not-found]
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from threadpoolctl import threadpool_limits


class Served(PythonModel):
    """A network as MLflow's pyfunc: examples in, a table out."""

    def load_context(self, context: Any) -> None:
        """Read the network from the model's artifacts."""
        self._predictor = Predictor.load(Path(context.artifacts["network"]))

    # MLflow would read a schema off type hints, in place of the signature.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """A row for each example, as a table of pandas'.

        Args:
            context: MLflow's, not needed.
            model_input: A table with the dataset's columns, or an array (n, …) of examples.
            params: MLflow's, not needed.

        Returns:
            What ``Predictor.answers`` says.
        """
        predictor = self._predictor
        if predictor.preparation.columns:
            x = predictor.preparation.encoded(
                {name: list(model_input[name]) for name in model_input}
            )
        else:
            x = np.asarray(model_input)
        with threadpool_limits(1, "blas"):  # more threads round otherwise
            return pd.DataFrame(predictor.answers(x))


set_model(Served())
