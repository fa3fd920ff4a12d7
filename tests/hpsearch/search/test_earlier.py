"""``search.history``: the trials of an earlier study, of which the sampler is to know."""

from __future__ import annotations

import math
import tomllib
from typing import Any

import pytest

from hpsearch.errors import StudyFileError
from hpsearch.search import history as history_module
from hpsearch.search.history import History
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from hpsearch.study.config import Study
from tests.conftest import study
from tests.hpsearch.search.test_suggest import in_order, in_some_order, run_trial, searched


def known(count: int = 12, **changes: Any) -> Study:
    """A TPE study that knows of some trials, the better the nearer lr is to 0.1."""
    values = [10 ** (-3 * place / count) for place in range(count)]
    history = [
        {
            "value": 1 - abs(math.log10(lr) + 1),
            "values": {"training.lr": lr, "network.dropout": 0.1},
        }
        for lr in values
    ]
    return study(search__sampler="tpe", search__history=history, **changes)


def test_it_is_part_of_the_definition() -> None:
    """It is read back from the definition and from TOML; and another history is another study."""
    whole = known()
    assert whole == study_file.parse(whole.definition())
    assert whole == study_file.parse(tomllib.loads(study_file.toml(whole)))
    (line,) = study_file.differences(whole, known(11))
    assert line.startswith("search.history: stored ")
    assert "history" not in study().definition()["search"]


def test_the_sampler_sees_it_and_the_pruner_does_not() -> None:
    """Before all trials of the study, whatever the lag; a pruner would find no epochs in it."""
    past = History(known())
    assert [trial.number for trial in past.window(0)] == list(range(-12, 0))
    assert (past.before(0), past.values(0)) == ([], {})
    assert [trial.value for trial in past.window(3)] == [
        one.value for one in known().search.history
    ]


def test_the_study_is_led_by_it() -> None:
    """The first trial lies where it says that trials were good, and not where it would else."""
    tried = [float(str(suggest(known(40), History(known(40)), n)["training.lr"])) for n in range(8)]
    assert all(0.01 < lr < 1 for lr in tried)
    alone = study(search__sampler="tpe")
    random = [float(str(suggest(alone, History(alone), n)["training.lr"])) for n in range(8)]
    assert not all(0.01 < lr < 1 for lr in random)


def test_the_oldest_of_it_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that is full keeps the best and the newest of both studies."""
    past = History(known())
    past.add([run_trial(known(), past, number) for number in range(3)])
    whole = past.window(6)
    assert [trial.number for trial in whole] == list(range(-12, 3))
    best = sorted(whole, key=lambda trial: -float(trial.value or 0))[:2]
    monkeypatch.setattr(history_module, "WINDOW", 6)
    monkeypatch.setattr(history_module, "BEST", 2)
    expected = sorted({*(trial.number for trial in best), -1, 0, 1, 2})
    assert [trial.number for trial in past.window(6)] == expected


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_workers_do_not_matter(pruner: str) -> None:
    """Whichever trial ends first, the trials are the same."""
    told = known().definition()["search"]["history"]
    led = searched(search__sampler="tpe", search__history=told, search__pruner=pruner)
    assert [trial for trial, _ in in_order(led)] == [trial for trial, _ in in_some_order(led, 1)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"search__sampler": "random"},
            'search.history: the random sampler looks at no trials; set sampler = "tpe"',
        ),
        (
            {"search__history": [{"value": 1.0, "values": {"training.lr": 0.1}}]},
            "search.history[0].values: network.dropout is missing",
        ),
        (
            {
                "search__history": [
                    {"value": 1.0, "values": {"training.lr": 2.0, "network.dropout": 0.1}}
                ]
            },
            "search.history[0].values: training.lr = 2.0 is not in { low = 0.001, high = 1.0, ",
        ),
        (
            {"search__history": [{"value": 1.0, "values": {"training.lrr": 0.1}}]},
            "search.history[0].values: training.lrr is not searched; did you mean training.lr?",
        ),
        ({"search__history": [{"value": math.nan, "values": {}}]}, "search.history: input should"),
        ({"search__history": [{"values": {}}]}, "search.history.0.value: is missing"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(changes: dict[str, Any], said: str) -> None:
    """The line begins with the place."""
    table = known().definition()
    for path, value in changes.items():
        section, key = path.split("__")
        table[section][key] = value
    with pytest.raises(StudyFileError) as caught:
        study_file.parse(table)
    assert said == str(caught.value)[: len(said)]
