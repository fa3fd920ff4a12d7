"""A study goes on with what another one has found, and has all of it in its own definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import UsageError
from hpsearch.search.history import BEST, WINDOW, History
from hpsearch.search.past import continued, shown
from hpsearch.search.suggest import suggest
from hpsearch.study import file as study_file
from tests.conftest import study
from tests.hpsearch.command_line import Call
from tests.hpsearch.report import made_up


def ran(folder: Path, ends: made_up.Ends = made_up.mixed, **changes: Any) -> Any:
    """A store with a study of thirty trials, and the study."""
    return made_up.enter(folder, study(**{"search__trials": 30, **changes}), ends)


def test_it_has_the_others_complete_trials_and_its_best_points(tmp_path: Path) -> None:
    """Bit for bit, also as a file that is read again."""
    store, record = ran(tmp_path, search__target=0.99)
    made = continued(store, record, "next", 3)
    assert study_file.parse(study_file.source.tomllib.loads(study_file.toml(made))) == made
    trials = [t for t in store.trials(record.id) if t.value is not None]
    assert [(e.value, e.values) for e in made.search.history] == [
        (t.value, dict(t.params)) for t in trials
    ]
    best = sorted(trials, key=lambda t: -(t.value or 0.0))[:3]
    assert made.search.enqueue == [dict(t.params) for t in best]
    assert (made.name, made.search.sampler, made.space) == ("next", "tpe", record.study.space)
    assert (made.search.trials, made.search.target, made.search.seed) == (30, 0.99, 1)
    assert suggest(made, History(made), 0) == best[0].params


def test_its_first_own_trial_follows_from_what_was_found(tmp_path: Path) -> None:
    """With other values of the same trials, it would try something else."""
    one, other = (
        continued(*ran(folder, ends), "next")
        for folder, ends in (
            (_folder(tmp_path, "one"), made_up.learned),
            (
                _folder(tmp_path, "other"),
                lambda n, p: made_up.learned(n, p, value=-made_up.learned(n, p).value),
            ),
        )
    )
    assert suggest(one, History(one), 0) != suggest(other, History(other), 0)


@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_a_study_of_any_sampler_is_gone_on_with(sampler: str, tmp_path: Path) -> None:
    """The new one's is TPE."""
    choices = {"choices": [0.01, 0.1, 0.5, 1.0]}
    grid = {"training__lr": choices, "network__dropout": {"choices": [0.0, 0.2, 0.4]}}
    of = ran(tmp_path, search__sampler=sampler, **(grid if sampler == "grid" else {}))
    assert continued(*of, "next", 1).search.sampler == "tpe"


def test_rounds_leave_their_grown_ranges_and_their_last_epochs(tmp_path: Path) -> None:
    """Trials of other epochs cannot be compared."""
    rounds = {"training__epochs": [2, 5], "search__rounds": [20, 10]}
    store, record = ran(tmp_path, made_up.learned, **rounds)
    made = continued(store, record, "next")
    assert (made.search.rounds, made.epochs_by_round, made.epochs) == ([], (), 5)
    assert len(made.search.history) == sum(
        t.params["training.epochs"] == 5 for t in store.trials(record.id)
    )


def test_what_has_nothing_to_take_over_says_so(tmp_path: Path) -> None:
    """No COMPLETE trial, or nothing that is searched."""
    with pytest.raises(UsageError, match="'small' has no COMPLETE trial to take over"):
        continued(*ran(_folder(tmp_path, "a"), made_up.failed, search__trials=5), "next")
    fixed = {"training__lr": 0.1, "network__dropout": 0.0, "search__trials": 1}
    with pytest.raises(UsageError, match="'small' searches nothing"):
        continued(*ran(_folder(tmp_path, "b"), made_up.learned, **fixed), "next")


def test_a_sampler_is_shown_the_best_and_the_newest() -> None:
    """No more than it ever looks at."""
    assert shown([3, 1, 2]) == [1, 2, 3]
    kept = shown([*range(40), *range(9999, 39, -1)])
    assert len(kept) == WINDOW
    assert kept[:BEST] == list(range(BEST))
    assert kept[-1] == 9999


def test_init_writes_it(call: Call, home: Path, tmp_path: Path) -> None:
    """In one command, and ``run`` takes the file."""
    home.mkdir()
    ran(home)
    file = tmp_path / "next.toml"
    assert call("init", str(file), "--from", "small", "--points", "2").code == 0
    made = study_file.load(file)
    assert (made.name, len(made.search.enqueue)) == ("next", 2)
    plan = call("plan", str(file), "--no-timing", "--json")
    assert plan.code == 0, plan.err
    assert call("init", str(tmp_path / "x.toml"), "--data", "digits", "--points", "2").code == 2
    assert call("init", str(tmp_path / "x.toml"), "--from", "none").code == 2


def _folder(place: Path, name: str) -> Path:
    (place / name).mkdir()
    return place / name
