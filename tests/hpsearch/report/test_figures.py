"""A study's figures follow from its shape, show the ledger's numbers, and go to MLflow once."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from hpsearch.data import splits as data
from hpsearch.data.datasets import load
from hpsearch.ledger.database import Database
from hpsearch.ledger.owner import Owner
from hpsearch.ledger.records import State, StudyRecord
from hpsearch.ledger.store import Store
from hpsearch.report import figures as report
from hpsearch.report import histograms, page, words
from hpsearch.report.style import Title
from hpsearch.study import file as study_file
from hpsearch.study.config import NETWORK_METRICS
from hpsearch.training.network import NetworkTrainer
from hpsearch.work.worker import Worker
from tests.conftest import Run, study
from tests.hpsearch.report import made_up
from tests.hpsearch.report.layout import check_layout, seen, texts
from tests.hpsearch.workspace import MLFLOWS_WARNINGS, Workspace

STUDIES = Path(__file__).parents[3] / "studies"
POINTS = [
    {"training.optimizer": "sgd", "training.lr": 0.01},
    {"training.optimizer": "adam", "training.lr": 0.001},
]
GRID = {"search__sampler": "grid", "training__lr": 0.1}
SHAPES: dict[str, dict[str, Any]] = {
    "search": {},
    "one trial": {"search__trials": 1},
    "choices and stopped trials": {
        "network__hidden": {"choices": [[8], [4, 4]]},
        "network__batch_norm": {"choices": [True, False]},
        "training__epochs": {"low": 2, "high": 9},
        "search__pruner": "median",
        "search__trials": 30,
        "search__metric": "val_loss",
    },
    "diverging": {"training__lr": {"low": 1e-3, "high": 1e9, "log": True}, "search__trials": 12},
    "untrained search": {"training__epochs": 0},
    "settings": {**GRID, "network__dropout": {"choices": [0.0, 0.2]}},
    "many settings": {**GRID, "network__dropout": {"choices": [i / 10 for i in range(8)]}},
    "pairs": {
        **GRID,
        "network__dropout": 0.0,
        "network__batch_norm": {"choices": [True, False]},
        "network__init": {"choices": [1e30, 0.1, "he"]},
        "training__lr": 0.1,
    },
    "one setting": {"network__dropout": 0.0, "training__lr": 0.1, "search__trials": 1},
    "steps": {
        "network__dropout": 0.0,
        "training__optimizer": {"choices": ["sgd", "adam"]},
        "training__lr": {"choices": [0.01, 0.001]},
        "training__record": "step",
        "search__trials": 2,
        "search__enqueue": POINTS,
    },
    "activations": {
        **GRID,
        "network__hidden": {"choices": [[8, 8], [8]]},
        "network__dropout": 0.0,
        "network__activation": {"choices": ["relu", "sigmoid", "tanh"]},
        "training__epochs": 0,
    },
    "activations of nothing": {
        **GRID,
        "network__hidden": [],
        "network__dropout": 0.0,
        "network__activation": {"choices": ["relu", "tanh"]},
        "training__epochs": 0,
    },
    "activations of many layers": {
        **GRID,
        "network__hidden": {"choices": [[8] * 12, []]},
        "network__dropout": 0.0,
        "training__epochs": 0,
    },
}


@cache
def digits() -> data.Dataset:
    """Read once."""
    return load("digits")


def run(folder: Path, **changes: Any) -> tuple[Store, StudyRecord, NetworkTrainer]:
    """A study with all its trials, trained in this process."""
    definition = study(**changes)
    d = definition.data
    parts = data.split(digits(), train=d.train, validation=d.validation, seed=d.seed)
    trainer = NetworkTrainer(parts)
    store = Store(Database(f"sqlite:///{folder / 'studies.db'}"))
    record = store.register(definition, trainer.digests)
    Worker(store, record, trainer, Owner.of()).run(threading.Event())
    return store, record, trainer


def drawn(folder: Path, shape: str) -> tuple[dict[str, Figure], Store, StudyRecord]:
    """The figures of a study of that shape."""
    store, record, trainer = run(folder, **SHAPES[shape])
    return report.draw(store, record, lambda: trainer), store, record


# -- which figure


@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("two-layer", True),
        ("optimizers", True),
        ("init", True),
        ("activations", True),
        ("batchnorm", True),
        ("overfit", True),
        ("weight-decay", True),
        ("dropout", True),
        ("book", False),
        ("quick", False),
    ],
)
def test_settings_are_told_from_searches(name: str, compared: bool) -> None:
    """The book's comparisons are settings beside each other, its search is one."""
    assert report.compares(study_file.load(STUDIES / f"{name}.toml")) is compared


def test_too_many_settings_are_drawn_as_a_search() -> None:
    """What cannot be seen beside each other is drawn by parameter."""
    choices = {"choices": [i / 100 for i in range(50)]}
    assert not report.compares(study(**GRID, network__dropout=choices, search__trials=50))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_drawn(tmp_path: Path, shape: str) -> None:
    """Whatever a study looks like, its figures are images of a sensible size that say how many."""
    figures, store, record = drawn(tmp_path, shape)
    searched = shape in ("search", "one trial", "choices and stopped trials", "diverging")
    wanted = ["small.png", "small-best.png"] if searched else ["small.png"]
    assert list(figures) == wanted
    for file in report.write(figures, tmp_path / "out"):
        height, width, _ = imread(file).shape
        assert 200 < height < 2000
        assert 600 < width < 1400
    count = len(store.trials(record.id))
    title = figures["small.png"].get_suptitle()
    unit = "network" if shape.startswith("activations") else "trial"
    assert f"{count} {unit}{'s' if count > 1 else ''}" in title
    for figure in figures.values():
        shown = [axes for axes in figure.axes if axes.get_visible() and axes.axison]
        assert all(axes.has_data() for axes in shown)
        assert not shown or any(axes.get_xlabel() for axes in shown)
        assert not shown or any(axes.get_ylabel() for axes in shown)


# -- what they show


def test_curves_are_the_ledgers(tmp_path: Path) -> None:
    """A setting's plot has its training and its validation curve, epoch by epoch."""
    figures, store, record = drawn(tmp_path, "settings")
    curves = {t.params["network.dropout"]: c for t, c in store.finished(record.id)}
    axes = figures["small.png"].axes
    assert [a.get_title("left") for a in axes] == ["dropout 0", "dropout 0.2"]
    for plot, dropout in zip(axes, (0.0, 0.2), strict=True):
        lines = {line.get_label(): line for line in plot.lines}
        assert list(lines) == ["training", "validation"]
        for label, column in (("training", "train_accuracy"), ("validation", "val_accuracy")):
            epochs, values = lines[label].get_data()
            np.testing.assert_array_equal(epochs, [1, 2, 3])
            np.testing.assert_array_equal(values, curves[dropout][:, NETWORK_METRICS.index(column)])


def test_losses_are_the_ledgers(tmp_path: Path) -> None:
    """Every mini-batch's loss is there, and labelled by what the trial was."""
    figures, store, record = drawn(tmp_path, "steps")
    steps = store.steps(record.id)
    (axes,) = figures["small.png"].axes
    (legend,) = figures["small.png"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["sgd, lr 0.01", "adam, lr 0.001"]
    for faint, number in zip(axes.lines[::2], (0, 1), strict=True):
        np.testing.assert_array_equal(faint.get_ydata(), steps[number])


def test_pairs_share_a_plot(tmp_path: Path) -> None:
    """Of two open places one is across the plots, the other within them; divergences are said."""
    figures, _, _ = drawn(tmp_path, "pairs")
    figure = figures["small.png"]
    assert [a.get_title("left") for a in figure.axes] == [
        "init std 1e+30",
        "init std 0.1",
        "init he",
    ]
    assert {"with batch norm", "without batch norm"} == {
        line.get_label() for axes in figure.axes for line in axes.lines
    }
    assert "without batch norm: diverged in epoch" in texts(figure)


def test_best_trials_come_in_order(tmp_path: Path) -> None:
    """The best first, each with its place, value and parameters."""
    figures, store, record = drawn(tmp_path, "search")
    best = store.best(record)
    assert best is not None
    first = figures["small-best.png"].axes[0]
    assert first.get_title("left") == f"1: {best.value:.4g} (trial {best.number})"
    assert f"lr {best.params['training.lr']:.3g}" in texts(figures["small-best.png"])


def test_histograms_are_of_the_networks_built_again(tmp_path: Path) -> None:
    """A row for each network in the order of the choices, a column for each layer."""
    figures, _, _ = drawn(tmp_path, "activations")
    axes = figures["small.png"].axes
    assert len(axes) == 12
    assert [a.get_title() for a in axes[:2]] == ["layer 1", "layer 2"]
    first, *_, last = [a.get_ylabel() for a in axes[::2]]
    assert (first, last) == ("relu\nhidden [2 × 8]", "tanh\nhidden [8]")
    for plot in axes:
        if plot.get_visible():
            assert sum(bar.get_height() for bar in plot.patches) <= 1 + 1e-9


def test_names_are_not_typeset(tmp_path: Path) -> None:
    """A name is a name, though it hold dollars or letters that the font lacks."""
    name = "a $_{ study$ 学習"
    store, record, trainer = run(tmp_path, name=name, **SHAPES["one trial"])
    files = report.write(report.draw(store, record, lambda: trainer), tmp_path / "out")
    assert [file.name for file in files] == [f"{name}.png", f"{name}-best.png"]


@pytest.mark.parametrize("name", [made_up.CJK[:128], "e\u0301" * 64, "x" * 128])
def test_any_name_is_a_file(tmp_path: Path, name: str) -> None:
    """A name of 128 letters takes up to 512 bytes: its files are called by its beginning."""
    store, record = made_up.enter(tmp_path, study(name=name, search__trials=3))
    files = report.write(report.draw(store, record, pytest.fail), tmp_path / "out")
    assert len(files) == 2 == len(set(files))
    for file in files:
        assert file.name.startswith(name[:5])
        assert len(file.name.encode()) <= words.LONGEST_FILE


def test_same_study_same_bytes(tmp_path: Path) -> None:
    """Drawing again writes the same files."""
    store, record, trainer = run(tmp_path)
    once, again = (
        [f.read_bytes() for f in report.write(report.draw(store, record, lambda: trainer), folder)]
        for folder in (tmp_path / "a", tmp_path / "b")
    )
    assert once == again


# -- what a figure must not do


@pytest.mark.parametrize(
    "name",
    [
        "5 trials",
        "15 parameters, 100 trials",
        "2 trials",
        "40 categories",
        "a long name",
        "a CJK name",
        "equal values",
        "all diverged",
        "an outlier",
        "absurd losses",
        "40 lines",
        "settings of 14 places",
        "one setting with an outlier",
        "steps",
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph .* missing from")
def test_texts_keep_apart(tmp_path: Path, name: str) -> None:
    """No text lies on another or beyond the edge, and no plot is squeezed, whatever is shown."""
    figures = list(report.draw(*made_up.case(tmp_path, name), pytest.fail).values())
    for figure in figures[: 2 if name.startswith("15") else 1]:
        check_layout(figure)


def test_layouts_are_really_checked() -> None:
    """The check finds two texts in one place, and one that leaves the figure."""
    for x, y in ((0.5, 0.5), (0.98, 0.9)):
        figure = Figure(figsize=(5, 5))
        figure.text(0.5, 0.5, "one text")
        figure.text(x, y, "another text")
        with pytest.raises(AssertionError):
            check_layout(figure)


def test_infinite_activations_are_counted() -> None:
    """They are told, and neither drawn nor warned of."""
    layers = [np.array([[0.1, np.inf], [np.nan, 0.3]]), np.full((2, 2), np.inf)]
    figure = histograms.activations(
        Title("what", "of"), [histograms.Histograms("relu", layers, 0.0, 2.0)]
    )
    FigureCanvasAgg(figure).draw()
    assert "mean 0.2\nsd 0.1\n50% infinite" in texts(figure)
    assert "\n100% infinite" in texts(figure)


def test_an_outlier_does_not_flatten_the_rest(tmp_path: Path) -> None:
    """One loss of 244 is said and marked, and the other trials have the axis to themselves."""
    figures = report.draw(*made_up.case(tmp_path, "an outlier"), pytest.fail)
    axes = figures["small.png"].axes[0]
    assert axes.get_ylim()[1] < 3
    assert axes.get_ylabel().startswith("validation loss, cut at")
    assert "beyond the axis (244)" in texts(figures["small.png"])


def test_one_setting_that_is_an_outlier_is_named(tmp_path: Path) -> None:
    """Its plot says that its curves are beyond the axis, which is that of the others."""
    figures = report.draw(*made_up.case(tmp_path, "one setting with an outlier"), pytest.fail)
    figure = figures["small.png"]
    assert figure.axes[0].get_ylim()[1] < 3
    assert "training: beyond (244)\nvalidation: beyond (244)" in texts(figure)


def test_accuracies_have_no_negative_ticks(tmp_path: Path) -> None:
    """Though all of them be zero."""
    figures = report.draw(*made_up.case(tmp_path, "equal values"), pytest.fail)
    for figure in figures.values():
        FigureCanvasAgg(figure).draw()
        assert not [text.get_text() for text in seen(figure) if "−" in text.get_text()]


def test_an_axis_is_what_was_searched(tmp_path: Path) -> None:
    """A parameter's axis is its range, though the trials span less of it."""
    figures = report.draw(*made_up.case(tmp_path, "5 trials"), pytest.fail)
    by_name = {axes.get_xlabel(): axes.get_xlim() for axes in figures["small.png"].axes}
    low, high = by_name["dropout"]
    assert low < 0.0 < 0.5 < high
    assert (low, high) == pytest.approx((0.0, 0.5), abs=0.03)
    assert by_name["lr, log scale"] == pytest.approx((1e-3, 1.0), rel=0.3)


def test_stopped_trials_do_not_rule_the_axis(tmp_path: Path) -> None:
    """The complete ones do: a pruned one that lies below stands at the edge."""
    figures = report.draw(*made_up.case(tmp_path, "100 trials"), pytest.fail)
    store = figures["small.png"]
    assert store.axes[0].get_ylim()[0] > 0.4
    said = texts(store)
    assert "100 trials (30 pruned, 9 diverged)" in said
    for label in ("pruned (its last value)", "diverged (at the edge)", "beyond the axis"):
        assert label in said


def test_the_legend_stands_outside(tmp_path: Path) -> None:
    """No plot has a legend of its own that could lie on its points."""
    figures = report.draw(*made_up.case(tmp_path, "5 trials"), pytest.fail)
    for figure in figures.values():
        assert len(figure.legends) == 1
        assert not any(axes.get_legend() for axes in figure.axes)


def test_steps_say_what_was_trained_on(tmp_path: Path) -> None:
    """The validation part is not trained on; a setting that diverged at once is named."""
    figures = report.draw(*made_up.case(tmp_path, "steps"), pytest.fail)
    title = figures["small.png"].get_suptitle()
    assert "40 iterations on 80 examples" in title
    assert "diverged in the first epoch: lr 100" in title


# -- studies with little to show


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("1 trial", "One trial cannot show what a parameter does"),
        ("2 trials", "Two trials cannot show what a parameter does"),
        ("all diverged", "lr was searched from 0.001 to 1"),
        ("all diverged later", "Each training was stopped when its loss became infinite"),
        ("settings all diverged", "lr was one of 10 and 100"),
    ],
)
def test_a_sentence_stands_for_a_figure(tmp_path: Path, name: str, said: str) -> None:
    """Where there is nothing to see, that is said, with a table, and there are no blank axes."""
    figures = report.draw(*made_up.case(tmp_path, name), pytest.fail)
    figure = figures["small.png"]
    assert not any(axes.axison for axes in figure.axes)
    assert said in texts(figure).replace("\n", " ")
    assert "trial" in texts(figure)
    if "diverged" in name:
        assert "pruned" not in texts(figure)
        assert list(figures) == ["small.png"]


def test_without_a_trained_trial_there_is_no_figure(book: Workspace) -> None:
    """Of trials that failed there is nothing to draw."""
    book.run(State.FAIL, State.FAIL)
    assert report.draw(book.store, book.record, pytest.fail) == {}


def test_stopped_trials_alone_are_drawn(book: Workspace) -> None:
    """A search in which none completed shows what there is, and names no best one."""
    book.run(State.PRUNED, State.FAIL, State.PRUNED)
    figures = report.draw(book.store, book.record, pytest.fail)
    assert list(figures) == ["small.png"]
    assert "2 trials (2 pruned)" in texts(figures["small.png"])
    assert "best" not in texts(figures["small.png"])


# -- MLflow


@MLFLOWS_WARNINGS
def test_the_studys_run_gets_them_once(book: Workspace, tmp_path: Path) -> None:
    """A second report writes over the first, and the projections lack nothing after."""
    book.complete()
    book.sync()

    def artifacts() -> list[str]:
        run_id = book.parent().info.run_id
        return [a.path for a in book.client.list_artifacts(run_id, "report")]

    for _ in range(2):
        record = book.store.study("small")
        figures = report.draw(book.store, record, pytest.fail)
        files = report.write(figures, tmp_path / "out")
        files.append(page.write("<p>", "small", tmp_path / "out"))
        assert report.track(book.settings, record, files)
        assert artifacts() == [f"report/small{end}" for end in ("-best.png", ".html", ".png")]
    kept = book.client.download_artifacts(book.parent().info.run_id, "report/small.png")
    assert Path(kept).read_bytes() == files[0].read_bytes()
    assert book.parent().info.status == "FINISHED"
    assert not book.sync()


def test_without_a_run_there_nothing_is_tracked(book: Workspace) -> None:
    """A study that was run with --no-tracking has no run to add to, and MLflow is not asked."""
    book.complete()
    assert not report.track(book.settings, book.record, [])


# -- the command


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A study file."""
    file = tmp_path / "small.toml"
    file.write_text(study_file.toml(study()))
    return file


def test_command_writes_into_the_workspace(hpsearch: Run, home: Path, small: Path) -> None:
    """It prints where the figures are; what MLflow lacks is one line beside."""
    assert hpsearch("run", str(small), "--no-tracking", "--workers", "1").returncode == 0
    done = hpsearch("report", "small")
    files = [home / "reports" / name for name in ("small.html", "small.png", "small-best.png")]
    assert (done.returncode, done.stdout) == (0, "".join(f"{file}\n" for file in files))
    assert done.stderr.startswith("hpsearch: 'small' has no MLflow run")
    assert all(file.is_file() for file in files)


def test_command_outlives_mlflow(
    hpsearch: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With MLflow gone the figures are there all the same, and one line says what is not."""
    assert hpsearch("run", str(small), "--workers", "1").returncode == 0
    done = hpsearch("report", "small", "--out", str(tmp_path / "figures"))
    assert (done.returncode, done.stderr) == (0, "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    done = hpsearch("report", "small", "--out", str(tmp_path / "others"))
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "the report was not added to MLflow" in done.stderr
    for name in ("small.html", "small.png", "small-best.png"):
        figures = [(tmp_path / folder / name).read_bytes() for folder in ("figures", "others")]
        assert figures[0] == figures[1]


def test_command_says_what_is_missing(hpsearch: Run, home: Path, small: Path) -> None:
    """No store, no such study: one line and the exit code of bad input."""
    for arguments in (["report", "small"], ["report"]):
        done = hpsearch(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
