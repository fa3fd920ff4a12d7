"""A report is one page that stands alone, tells what came out, and warns where numbers mislead."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from hpsearch.errors import DataError, HpsearchError
from hpsearch.ledger.records import State, curve
from hpsearch.report import importance, learning, mistakes, page, parallel, searches, surface
from hpsearch.report.style import Title
from hpsearch.report.trials import ranked, trained
from hpsearch.trust.selection import wilson
from tests.conftest import study
from tests.hpsearch.report import made_up
from tests.hpsearch.report.layout import check_layout
from tests.hpsearch.report.test_figures import run
from tests.hpsearch.workspace import Workspace

TITLE = Title("what", "of how much")


def absent() -> Any:
    """A trainer whose data is gone."""
    raise DataError("data.dataset: it is gone")


def made(folder: Path, name: str) -> str:
    """The page of a made-up study."""
    return page.html(*made_up.case(folder, name), absent)


class Reader(HTMLParser):
    """What is in a page: tags with their attributes, and text outside of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def figures(self) -> list[str]:
        """The SVG of each."""
        sources = [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]
        assert all(source.startswith("data:image/svg+xml,") for source in sources)
        return [unquote(source) for source in sources]


# -- the page


def test_a_search_has_its_sections(tmp_path: Path) -> None:
    """All that a search is looked at for, in this order."""
    read = Reader(made(tmp_path, "100 trials"))
    headings = [
        "The best trials",
        "History",
        "The best trials (Fig. 6-24 of the book)",
        "Learning curves",
        "By parameter",
        "Parallel coordinates",
        "Importance of the parameters",
        "The two most important together",
        "What the best trial gets wrong",
        "Time and epochs",
    ]
    places = [read.text.index(f"\n{heading}\n") for heading in headings]
    assert places == sorted(places)
    assert len(read.figures) == 7
    assert "Not shown: the data is not at hand (data.dataset: it is gone)." in read.text


def test_a_paragraph_says_what_came_out(tmp_path: Path) -> None:
    """What was searched, on what, with which best value; to be pasted."""
    store, record = made_up.case(tmp_path, "100 trials")
    best = store.best(record)
    assert best is not None
    said = Reader(page.html(store, record, absent)).text
    assert (
        "Study small searched for the highest validation accuracy over dropout (0 to 0.5) and lr "
        "(0.001 to 1, log scale). Random search tried 100 trials (30 pruned, 9 diverged) on digits "
        f"(60 training and 30 validation examples). The best validation accuracy, "
        f"{best.value:.4g}, was reached by trial {best.number}: dropout = "
    ) in said


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """No script, no link, no address but those of its own images; and it forbids others."""
    text = made(tmp_path, "5 trials")
    read = Reader(text)
    assert {"script", "link", "a", "iframe", "object"}.isdisjoint(tag for tag, _ in read.tags)
    policy = [a["content"] for tag, a in read.tags if a.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert all(attributes.get("alt") for tag, attributes in read.tags if tag == "img")
    for figure in read.figures:
        assert "<script" not in figure
        assert set(re.findall(r'href="(?!#|data:)([^"]*)"', figure)) == set()


def test_names_do_nothing(tmp_path: Path) -> None:
    """A name is text, though it look like a tag; so are the reasons of failures."""
    name = '<script>alert("1")<img src=x onerror=alert(2)> & more'
    ends = [made_up.failed, made_up.learned]
    store, record = made_up.enter(
        tmp_path, study(name=name, search__trials=8), lambda n, p: ends[n % 2](n, p)
    )
    text = page.html(store, record, absent)
    read = Reader(text)
    assert "script" not in {tag for tag, _ in read.tags}
    assert all("onerror" not in attributes for _, attributes in read.tags)
    assert f"\n{name}\n" in read.text
    assert "ValueError: <made up> & told" in read.text
    for figure in read.figures:
        assert "<script" not in figure
        assert "onerror=alert(2)>" not in figure


def test_same_study_same_page(tmp_path: Path) -> None:
    """The page is a function of the ledger."""
    store, record = made_up.case(tmp_path, "5 trials")
    assert page.html(store, record, absent) == page.html(store, record, absent)


@pytest.mark.parametrize(
    "name",
    [
        "failed",
        "1 trial",
        "2 trials",
        "15 parameters, 2,000 trials",
        "40 categories",
        "all diverged",
        "all diverged later",
        "absurd losses",
        "settings of 14 places",
        "settings all diverged",
        "steps",
    ],
)
def test_every_study_has_a_page(tmp_path: Path, name: str) -> None:
    """Small at any size, and without a warning."""
    text = made(tmp_path, name)
    assert len(text.encode()) < 3_000_000
    assert "Time and epochs" in text
    assert "nan" not in Reader(text).text


@pytest.mark.parametrize(
    ("metric", "by_epoch"),
    [("score", lambda rate: -50 * rate), ("val_accuracy", lambda rate: 80 + 10 * rate)],
)
def test_a_training_of_ones_own_has_a_page(
    tmp_path: Path, metric: str, by_epoch: Callable[[float], float]
) -> None:
    """Its metrics are its own, negative or in percent, and it may have no data to speak of."""
    read = Reader(page.html(*made_up.own(tmp_path, metric, by_epoch), pytest.fail))
    assert "search tried 40 trials with mine:train." in read.text
    assert "model.depth (1 to 9) and rate (0 to 1)" in read.text
    assert len(read.figures) == 7
    for figure in read.figures:
        assert "cross-entropy" not in figure
        assert "8000%" not in figure


def test_a_failed_study_says_why(tmp_path: Path) -> None:
    """Its page has the reasons, and no figure."""
    read = Reader(made(tmp_path, "failed"))
    assert "Random search tried 6 trials (6 failed)" in read.text
    assert "0, 1, 2, 3, 4 and 5" in read.text
    assert read.figures == []


def test_nothing_to_show_is_said(book: Workspace) -> None:
    """Before any trial has ended there is one line, and no empty page."""
    with pytest.raises(HpsearchError) as caught:
        page.html(book.store, book.record, pytest.fail)
    assert str(caught.value) == (
        "'small' has no trial to draw (none yet); see: hpsearch trials small"
    )


# -- cautions


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({}, "is optimistic", "Patience"),
        ({"search__trials": 1}, "95 % interval", "is optimistic"),
        ({"search__metric": "train_accuracy"}, "nothing about other examples", "is optimistic"),
        ({"training__patience": 2}, "Patience chose the epoch", "nothing about other examples"),
        ({"network__dropout": 0.0}, "lies at the high end of its range, 0.001 to 1;", "dropout"),
    ],
)
def test_cautions_fit_the_study(
    tmp_path: Path, changes: dict[str, Any], said: str, unsaid: str
) -> None:
    """Each stands where it is true, and nowhere else."""

    def ends(number: int, params: Any) -> Any:
        value = 0.5 + float(params["training.lr"]) / 3
        return made_up.made(number, params, curve([[1, value, 1, value]] * 3), value=value)

    changed = {"search__trials": 60} | changes
    text = Reader(page.html(*made_up.enter(tmp_path, study(**changed), ends), absent)).text
    assert said in text
    assert unsaid not in text


def test_the_noise_band_is_wilsons(tmp_path: Path) -> None:
    """Of the best accuracy by itself, on as many examples as validate; of no loss."""
    store, record = made_up.case(tmp_path, "5 trials")
    outcomes = searches.outcomes(record.study, trained(store, record))
    best = float(np.nanmax(outcomes.values[outcomes.complete]))
    assert wilson(best, 30) == learning.noise(outcomes, 30)
    assert learning.noise(outcomes, None) is None
    assert learning.noise(replace(outcomes, metric="validation loss"), 30) is None


# -- importances


def test_what_mattered_is_told_from_what_did_not(tmp_path: Path) -> None:
    """The one parameter that decides is clear, the others are not to be told from chance."""
    open_ = {
        "training__momentum": {"low": 0.0, "high": 0.9},
        "training__optimizer": {"choices": ["sgd", "adam"]},
        "search__trials": 100,
    }

    def ends(number: int, params: Any) -> Any:
        value = 1 - abs(np.log10(params["training.lr"]) + 1) / 3
        return made_up.made(number, params, curve([[1, value, 1, value]] * 3), value=value)

    store, record = made_up.enter(tmp_path, study(**open_), ends)
    found = importance.importances(record.study, trained(store, record))
    assert [found[0].path] == [one.path for one in found if one.clear] == ["training.lr"]
    assert sum(one.share for one in found) == pytest.approx(1)
    for one in found:
        assert 0 <= one.low <= one.high <= 1
    assert found == importance.importances(record.study, trained(store, record))


def test_few_trials_say_nothing_of_importance(tmp_path: Path) -> None:
    """And that is said."""
    text = made(tmp_path, "5 trials")
    assert "Too few trials to say: 3 complete trials; at least 20 are needed." in text


def test_equal_values_say_nothing_of_importance(tmp_path: Path) -> None:
    """And that is said, too."""
    assert "All complete trials have the same value. No parameter made a difference." in made(
        tmp_path, "equal values"
    )


# -- mistakes


def test_mistakes_are_those_of_the_best_trial(tmp_path: Path) -> None:
    """Trained again to the same bits: as many mistakes as its accuracy tells of."""
    store, record, trainer = run(tmp_path)
    best = ranked(record.study, trained(store, record))[0]
    found = mistakes.mistakes(record.study, best, lambda: trainer)
    assert isinstance(found, mistakes.Mistakes)
    assert found.same
    assert found.confusion.sum() == 30
    assert best.trial.value == pytest.approx(found.confusion.trace() / 30)
    assert len(found.images) == min(30 - found.confusion.trace(), mistakes.SHOWN)
    assert all(image.shape == (8, 8) for image in found.images)
    check_layout(mistakes.drawn(TITLE, found))


def test_a_long_training_is_not_done_again(tmp_path: Path) -> None:
    """A report is quick."""
    store, record = made_up.case(tmp_path, "5 trials")
    best = ranked(record.study, trained(store, record))[0]
    slow = replace(best, trial=replace(best.trial, ended=best.trial.started + 21))
    said = mistakes.mistakes(record.study, slow, pytest.fail)
    assert said == "the best trial took more than 20 s, and was not trained again for this"


# -- layout


@pytest.mark.parametrize(
    "name", ["5 trials", "15 parameters, 100 trials", "40 categories", "an outlier"]
)
def test_texts_of_the_pages_figures_keep_apart(tmp_path: Path, name: str) -> None:
    """At few trials and many, few parameters and many, few choices and many."""
    store, record = made_up.case(tmp_path, name)
    finished = trained(store, record)
    outcomes = searches.outcomes(record.study, finished)
    parameters = searches.parameters(record.study, finished)
    lines = [f.line(record.study.search.metric) for f in finished]
    band = learning.noise(outcomes, 30)
    check_layout(learning.history(TITLE, outcomes, band))
    check_layout(learning.by_epoch(TITLE, outcomes, lines, {1, 3, 9}, "accuracy"))
    check_layout(parallel.parallel(TITLE, outcomes, parameters))
    check_layout(surface.surface(TITLE, outcomes, parameters[0], parameters[-1]))
    found = [
        importance.Importance(path, 0.1, 0.05, 0.2, clear=index % 2 == 0)
        for index, path in enumerate(record.study.space)
    ]
    check_layout(importance.drawn(TITLE, found))


def test_stopped_trials_alone_have_a_page(book: Workspace) -> None:
    """Where none completed, no best one is named."""
    book.run(State.PRUNED, State.FAIL, State.PRUNED, State.PRUNED)
    text = Reader(page.html(book.store, book.record, absent)).text
    assert "No trial completed." in text
    assert "is optimistic" not in text


def test_a_row_is_named_once(tmp_path: Path) -> None:
    """Epochs that are searched stand beside those that were trained."""
    head = re.findall(r"<tr><td>([^<]+)</td>", made(tmp_path, "15 parameters, 5 trials"))
    assert {"epochs", "epochs trained"} <= set(head)
    assert len(set(head[:17])) == 17


def test_one_trial_is_one(tmp_path: Path) -> None:
    """What is counted is said as a person would."""
    assert "from 1 finished trial." in made(tmp_path, "1 trial")
