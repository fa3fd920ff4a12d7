"""Which models of studies does MLflow's registry hold, and which of them is the champion?

A registered model is named like its study. It is made of code, safetensors and JSON: nothing in it
is pickled.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.errors import TrackingError
from hpsearch.projections.mlflow_client import Connection
from hpsearch.settings import Settings
from hpsearch.training.predictor import DESCRIPTION

if TYPE_CHECKING:
    from hpsearch.training.predictor import Predictor

CHAMPION = "champion"
FOLDER = "model"
WEIGHTS, SCORE, METRIC, KIND, REFIT = (
    f"hpsearch.{name}" for name in ("weights_sha256", "score", "metric", "score_kind", "refit")
)
PACKAGES = ("mlflow", "numpy", "pandas", "safetensors", "threadpoolctl")
"""What a server of the model needs."""
_ROOT = Path(__file__).parents[2]
_CODE = ("data/preparation.py", "training/predictor.py")
"""What of hpsearch the model takes along, beside ``net``."""
_PACKAGE = "hpsearch_model"
"""As part of which it does: hpsearch itself may be there, too."""


@dataclass(frozen=True, slots=True)
class Score:
    """How good a model is."""

    metric: str
    value: float
    confirmed: bool
    """Whether new seeds said so, rather than the search that chose it."""
    refit: int = 0
    """How many networks of a refit it is of, each trained on more than it was scored with."""

    def beats(self, other: Score, *, maximize: bool) -> bool:
        """Whether it may take the other's place: better by the same metric, and as well founded.

        Of equal scores, that of the larger refit is the better one.
        """
        if self.metric != other.metric or (other.confirmed and not self.confirmed):
            return False
        if self.value == other.value and self.confirmed == other.confirmed:
            return self.refit > other.refit
        better = self.value > other.value if maximize else self.value < other.value
        return better or (self.confirmed and not other.confirmed)


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a model."""

    version: int
    new: bool
    """Whether it was not in the registry before."""
    champion: bool
    before: tuple[int, Score] | None
    """The champion that there was, if it is another."""


class Registry:
    """MLflow's model registry.

    Raises:
        TrackingError: If MLflow cannot be reached or used.
    """

    def __init__(self, settings: Settings) -> None:
        self._mlflow = Connection(settings)
        self._client: Any = self._mlflow.client

    def register(
        self,
        name: str,
        run_id: str,
        predictor: Predictor,
        score: Score,
        tags: Mapping[str, str],
        *,
        maximize: bool,
        force: bool,
    ) -> Registered:
        """Enter a model, and make it the champion if it beats the one there is.

        Args:
            name: The study's.
            run_id: The run of the trial, or of the refit, that the model is of.
            predictor: The model.
            score: How good it is.
            tags: Of the version; ``hpsearch.weights_sha256`` must be among them.
            maximize: Whether a higher score is better.
            force: Make it the champion even if it is not better.
        """
        with self._mlflow.failures():
            of_run = self._client.search_model_versions(f"run_id = '{run_id}'")
            same = [v for v in of_run if (v.name, v.tags.get(WEIGHTS)) == (name, tags[WEIGHTS])]
            if same:
                version = int(same[0].version)
            else:
                with _saved(predictor) as folder:
                    self._client.log_artifacts(run_id, str(folder), FOLDER)
                version = self._enter(name, run_id)
            told = {SCORE: repr(score.value), METRIC: score.metric}
            told[KIND] = "confirmed" if score.confirmed else "search"
            told[REFIT] = str(score.refit)
            for key, value in {**tags, **told}.items():
                self._client.set_model_version_tag(name, str(version), key, value)
            before = self._champion(name)
            is_champion = before is not None and before[0] == version
            wins = before is None or is_champion or score.beats(before[1], maximize=maximize)
            if wins or force:
                self._client.set_registered_model_alias(name, CHAMPION, str(version))
            other = None if is_champion else before
            return Registered(version, not same, wins or force, other)

    def champion(self, name: str, folder: Path) -> tuple[int, Path]:
        """A study's champion, copied to a folder: its version, and where its network lies.

        Raises:
            TrackingError: If it has none.
        """
        with self._mlflow.failures():
            found = self._champion(name)
            if found is None:
                raise TrackingError(f"{name!r} has no champion; run: hpsearch register {name}")
            version = self._client.get_model_version(name, str(found[0]))
            place = f"{FOLDER}/artifacts/network"
            copy = self._client.download_artifacts(version.run_id, place, str(folder))
            if not (Path(copy) / DESCRIPTION).is_file():
                raise TrackingError(f"the champion of {name!r} was not made by hpsearch")
            return found[0], Path(copy)

    def _enter(self, name: str, run_id: str) -> int:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self._client.get_run(run_id).info.artifact_uri}/{FOLDER}"
        return int(self._client.create_model_version(name, source, run_id).version)

    def _champion(self, name: str) -> tuple[int, Score] | None:
        from mlflow.exceptions import MlflowException

        try:
            version = self._client.get_model_version_by_alias(name, CHAMPION)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        tags = version.tags
        try:
            value, refit = float(tags[SCORE]), int(tags.get(REFIT, 0))
        except (KeyError, ValueError):
            value, refit = float("nan"), 0
        score = Score(tags.get(METRIC, ""), value, tags.get(KIND) == "confirmed", refit)
        return int(version.version), score


@contextmanager
def _saved(predictor: Predictor) -> Iterator[Path]:
    """The model as MLflow keeps it, in a folder of its own for so long."""
    with _quiet():
        import mlflow.pyfunc

    with tempfile.TemporaryDirectory(prefix="hpsearch-model-") as place:
        folder = Path(place)
        for file in _CODE:
            target = folder / "code" / _PACKAGE / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(_ROOT / "hpsearch" / file, target)
            (target.parent / "__init__.py").touch()
        (folder / "code" / _PACKAGE / "__init__.py").touch()
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_ROOT / "net", folder / "code" / "net", ignore=ignored)
        (folder / "network").mkdir()
        predictor.save(folder / "network")
        with _importable(folder / "code"), _quiet():
            mlflow.pyfunc.save_model(
                path=str(folder / FOLDER),
                python_model=str(Path(__file__).with_name("served_model.py")),
                artifacts={"network": str(folder / "network")},
                code_paths=[str(folder / "code" / part) for part in (_PACKAGE, "net")],
                pip_requirements=[f"{p}=={importlib.metadata.version(p)}" for p in PACKAGES],
                signature=_signature(predictor),
                input_example=_example(predictor),
            )
        yield folder / FOLDER


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to oneself that MLflow would have all functions type their arguments, its own too.

    What it warns of is recorded, not ignored: while it is imported, it sets filters of its own.
    """
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        yield


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let a folder's packages be imported for so long; ours come first where names are equal."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
            del sys.modules[name]


def _signature(predictor: Predictor) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    known = predictor.preparation
    double, text = DataType.double, DataType.string
    if known.columns:
        given = Schema(
            [ColSpec(double if kinds is None else text, name) for name, kinds in known.columns]
        )
    else:
        given = Schema([TensorSpec(np.dtype(np.float64), (-1, *known.shape))])
    if known.target is not None:
        return ModelSignature(given, Schema([ColSpec(double, "value")]))
    numbers = [ColSpec(double, f"p({name})") for name in predictor.classes]
    label = [ColSpec(text, "label"), ColSpec(double, "probability")]
    return ModelSignature(given, Schema([*label, *numbers]))


def _example(predictor: Predictor) -> Any:
    """Two examples: zeros, or the first category of each column."""
    import pandas as pd

    known = predictor.preparation
    if known.columns:
        return pd.DataFrame(
            {name: [0.0 if kinds is None else kinds[0]] * 2 for name, kinds in known.columns}
        )
    return np.zeros((2, *known.shape))
