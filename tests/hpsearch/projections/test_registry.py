"""MLflow's registry holds a study's models, and the best of them is the champion."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data.preparation import Preparation
from hpsearch.errors import TrackingError
from hpsearch.projections import registry
from hpsearch.projections.registry import CHAMPION, PACKAGES, Registered, Registry, Score
from hpsearch.training import make
from hpsearch.training.network import shape_of
from hpsearch.training.predictor import DESCRIPTION, Predictor, built
from tests.conftest import study
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

pytestmark = [
    MLFLOWS_WARNINGS,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]
LOW, HIGH = (Score("val_accuracy", value, confirmed=False) for value in (0.5, 0.75))
SURE = Score("val_accuracy", 0.25, confirmed=True)
NOTHING: Any = None


@pytest.mark.parametrize(
    ("mine", "other", "more", "less"),
    [
        (HIGH, LOW, True, False),
        (LOW, HIGH, False, True),
        (LOW, LOW, False, False),
        (Score("val_loss", 0.9, confirmed=False), LOW, False, False),
        (SURE, HIGH, True, True),
        (HIGH, SURE, False, False),
        (Score("val_accuracy", 0.5, confirmed=False, refit=2), LOW, True, True),
        (LOW, Score("val_accuracy", 0.5, confirmed=False, refit=2), False, False),
        (Score("val_accuracy", 0.5, confirmed=False, refit=2), HIGH, False, True),
        (Score("val_accuracy", 0.25, confirmed=True, refit=1), SURE, True, True),
        (SURE, Score("val_accuracy", 0.25, confirmed=False, refit=1), True, True),
        (HIGH, Score("val_accuracy", math.nan, confirmed=False), False, False),
    ],
)
def test_who_may_take_the_place(mine: Score, other: Score, more: bool, less: bool) -> None:
    """A better score by the same metric, and as well founded; of equals, the larger refit."""
    found = [mine.beats(other, maximize=maximize) for maximize in (True, False)]
    assert found == [more, less]


@pytest.fixture
def registered(
    book: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Registered]:
    """Enters a model of the study's own run, of which a file stands for all."""
    book.sync()
    (tmp_path / "model" / "artifacts" / "network").mkdir(parents=True)
    (tmp_path / "model" / "artifacts" / "network" / DESCRIPTION).write_text("{}")

    @contextmanager
    def saved(_: object) -> Iterator[Path]:
        yield tmp_path / "model"

    monkeypatch.setattr(registry, "_saved", saved)

    def enter(sha256: str, score: Score, *, maximize: bool = True, force: bool = False) -> Any:
        run_id, tags = book.parent().info.run_id, {registry.WEIGHTS: sha256, "more": "1"}
        return Registry(book.settings).register(
            "small", run_id, NOTHING, score, tags, maximize=maximize, force=force
        )

    return enter


def test_the_first_is_the_champion(
    book: Workspace, registered: Callable[..., Registered], tmp_path: Path
) -> None:
    """It is a version of the model with the study's name, and says how good it is; its network is
    given to whoever asks. Entered again, it is the same version."""
    with pytest.raises(TrackingError, match="'small' has no champion; run: hpsearch register sm"):
        Registry(book.settings).champion("small", tmp_path)
    assert registered("a", LOW) == Registered(1, new=True, champion=True, before=None)
    version = book.client.get_model_version_by_alias("small", CHAMPION)
    assert (int(version.version), version.run_id) == (1, book.parent().info.run_id)
    assert version.tags == {
        registry.WEIGHTS: "a",
        "more": "1",
        registry.SCORE: "0.5",
        registry.METRIC: "val_accuracy",
        registry.KIND: "search",
        registry.REFIT: "0",
    }
    (tmp_path / "copy").mkdir()
    number, folder = Registry(book.settings).champion("small", tmp_path / "copy")
    assert (number, (folder / DESCRIPTION).read_text()) == (1, "{}")
    assert folder.is_relative_to(tmp_path / "copy")
    assert registered("a", LOW) == Registered(1, new=False, champion=True, before=None)
    assert len(book.client.search_model_versions("name = 'small'")) == 1


def test_a_better_one_takes_its_place(
    book: Workspace, registered: Callable[..., Registered]
) -> None:
    """And no other does, unless it is made to; who was the champion before is said."""
    registered("a", LOW)
    assert registered("b", HIGH, maximize=False) == Registered(2, True, False, (1, LOW))
    assert registered("b", HIGH) == Registered(2, False, True, (1, LOW))
    confirmed = Score("val_accuracy", 0.25, confirmed=True, refit=3)
    assert registered("c", confirmed) == Registered(3, True, True, (2, HIGH))
    assert registered("a", LOW) == Registered(1, False, False, (3, confirmed))
    assert registered("a", LOW, force=True) == Registered(1, False, True, (3, confirmed))
    champion = book.client.get_model_version_by_alias("small", CHAMPION)
    assert int(champion.version) == 1


def test_a_champion_of_somebody_elses(
    book: Workspace, registered: Callable[..., Registered], tmp_path: Path
) -> None:
    """Its score is not known: nothing beats it, and there is no network of ours in it."""
    client, run_id = book.client, book.parent().info.run_id
    client.create_registered_model("small")
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    client.log_text(run_id, "", "model/artifacts/network/theirs")
    client.create_model_version("small", source, run_id)
    client.set_registered_model_alias("small", CHAMPION, "1")
    with pytest.raises(TrackingError, match="the champion of 'small' was not made by hpsearch"):
        Registry(book.settings).champion("small", tmp_path / "model")
    found = registered("a", SURE)
    assert (found.version, found.champion) == (2, False)
    assert found.before is not None
    number, score = found.before
    assert (number, score.metric, score.confirmed, score.refit) == (1, "", False, 0)
    assert math.isnan(score.value)


# -- what a model is


def digits(cache: Path) -> Predictor:
    """A network that is as it was made, for the digits."""
    tried = study(training__lr=0.1, network__dropout=0.0)
    assert tried.data is not None
    parts: Any = make.data_of(tried.data, cache)[1]
    shape = shape_of(tried.resolve({}, 7), parts)  # type: ignore[arg-type]
    network = built(shape, np.random.default_rng(0))
    return Predictor([shape], [network], parts.preparation)


def table(target: bool) -> Predictor:
    """One whose examples are rows of a table, of a regression or of classes."""

    class Known:
        columns = (("age", None), ("town", ("x", "y")))
        shape = (2,)
        classes = () if target else ("no", "yes")

    Known.target = object() if target else None  # type: ignore[attr-defined]
    known: Preparation = Known()  # type: ignore[assignment]
    return Predictor([], [], known)


def test_what_goes_in_and_comes_out() -> None:
    """Columns by their names and kinds, or an array; a number, or a label with probabilities."""
    given, told = (
        getattr(registry._signature(table(target=True)), part).to_dict()
        for part in ("inputs", "outputs")
    )
    assert [(c["name"], c["type"]) for c in given] == [("age", "double"), ("town", "string")]
    assert [(c["name"], c["type"]) for c in told] == [("value", "double")]
    told = registry._signature(table(target=False)).outputs.to_dict()
    assert [(c["name"], c["type"]) for c in told] == [
        ("label", "string"),
        ("probability", "double"),
        ("p(no)", "double"),
        ("p(yes)", "double"),
    ]
    example = registry._example(table(target=True))
    assert example.to_dict("list") == {"age": [0.0, 0.0], "town": ["x", "x"]}


def test_a_model_needs_nothing_of_hpsearch(tmp_path: Path) -> None:
    """It brings what it needs, in packages of other names, and says what the network says."""
    predictor, path = digits(tmp_path), list(sys.path)
    with registry._saved(predictor) as folder:
        files = {file.suffix for file in folder.rglob("*") if file.is_file()}
        assert files <= {"", ".py", ".json", ".yaml", ".txt", ".safetensors"}
        needed = (folder / "requirements.txt").read_text().splitlines()
        assert [line.partition("==")[0] for line in needed] == list(PACKAGES)
        code = {file.relative_to(folder / "code") for file in folder.glob("code/**/*.py")}
        assert Path("hpsearch_model/training/predictor.py") in code
        assert Path("hpsearch_model/data/__init__.py") in code
        assert Path("net/network.py") in code
        loaded = Predictor.load(folder / "artifacts" / "network")
        signature = registry._signature(predictor)
        x = registry._example(predictor)
        assert x.shape == (2, *predictor.preparation.shape)
        assert signature.inputs.inputs[0].shape == (-1, *predictor.preparation.shape)
        assert np.array_equal(loaded.probabilities(x), predictor.probabilities(x))
    assert not folder.exists()
    assert sys.path == path
    assert not [name for name in sys.modules if name.partition(".")[0] == "hpsearch_model"]
