"""A study whose trials train once a fold, from its file to MLflow and to an opened test part."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

import sqlalchemy as sa

from hpsearch.ledger.records import State, mean_of
from hpsearch.study.config import Study, dumps
from hpsearch.trust.contenders import to_confirm
from hpsearch.trust.opening import to_test
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line
from tests.hpsearch.work.crew import digest_of, ran
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS


def folded(trials: int = 12) -> Study:
    """Trials of four folds, some of which a pruner stops if there are many."""
    search = {"pruner": "halving", "reduction_factor": 2, "sampler": "tpe", "startup": 2}
    return study(
        data={"dataset": "digits", "train": 62, "folds": 4},
        search={**search, "trials": trials, "lag": 4},
    )


def test_every_command_knows_folds(home: Path, call: Call) -> None:
    """All stores keep their promises; what is shown says which fold it is of."""
    store, record = ran(folded(), home, 2)
    trials = store.trials(record.id)
    pruned = [trial for trial in trials if trial.state is State.PRUNED]
    assert pruned
    assert {len(trial.folds) for trial in pruned} <= {1, 2}
    assert call("sync", "small").code == 0
    checked = call("verify", "small", "--json")
    assert checked.json["violations"] == []
    best = call("best", "small", "--json").json
    assert best["value"] == mean_of(trials[best["number"]].folds)
    assert [fold["epochs"] for fold in best["folds"]] == [3, 3, 3, 3]
    assert best["corrected"]["chosen_from"] == 12 - len(pruned)
    assert "the mean of 4 trainings: " in call("best", "small").out
    epochs = call("curve", "small", "--json").json["epochs"]
    assert [epoch["fold"] for epoch in epochs] == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    for number in (best["number"], pruned[0].number):
        assert call("reproduce", "small", "--trial", str(number)).code == 0
    assert call("report", "small").code == 0
    page = (home / "reports" / "small.html").read_text()
    assert "4 folds follow one another. The halving pruner decides after fold 1 and 2." in page
    assert "trains 4 networks a trial" in one_line(call("register", "small"))
    assert call("refit", "small", "--workers", "1").code == 0
    assert call("verify", "small/refit", "--json").json["violations"] == []
    assert "of the refit's network on 1,735 examples" in call("test", "small").out
    assert call("register", "small", "--json").json["refit"] == 1


def test_a_copy_in_optuna_has_the_mean_after_each_fold(home: Path, call: Call) -> None:
    """These are what its pruner saw; the last is the trial's value."""
    import optuna

    store, record = ran(folded(), home, 1)
    assert call("sync", "small").code == 0
    copy = optuna.load_study(study_name="small", storage=f"sqlite:///{home / 'studies.db'}")
    for trial, copied in zip(store.trials(record.id), copy.trials, strict=True):
        steps = range(1, len(trial.folds) + 1)
        means = {step: mean_of(trial.folds[:step]) for step in steps}
        assert copied.intermediate_values == means
        assert copied.value == trial.value


def test_the_number_of_workers_does_not_matter(tmp_path: Path) -> None:
    """Folds and repeats give the same bits with one worker and three."""
    for of in (folded(), study(training__repeats=2, search__pruner="median", search__lag=2)):
        digests = {digest_of(of, tmp_path / f"{of.folds}-{n}", n) for n in (1, 3)}
        assert len(digests) == 1


def test_a_trial_is_a_file_that_runs(home: Path, call: Call, tmp_path: Path) -> None:
    """Its configuration has the folds, and running it gives the same weights."""
    store, record = ran(folded(), home, 1)
    config = tmp_path / "one.toml"
    config.write_text(call("config", "small", "--trial", "0").out)
    assert "folds = 4" in config.read_text()
    assert call("run", str(config), "--no-tracking").code == 0
    again = store.trials(store.study("small-trial-0").id)
    assert again[0].weights_sha256 == store.trial(record.id, 0).weights_sha256


def test_confirmed_on_all_folds_and_tested_without(tmp_path: Path) -> None:
    """A confirmation trains as the search did; the test part is scored by single trainings."""
    store, record = ran(folded(4), tmp_path, 1)
    complete = store.ranked(record, store.trials(record.id, [State.COMPLETE]))
    own = ran(to_confirm(record, complete, top=1, seeds=2, resplit=True), tmp_path, 1)[1]
    assert {len(trial.folds) for trial in store.trials(own.id)} == {4}
    assert store.counts(own.id).complete == 4
    own = ran(to_test(store, record, seeds=2, opening=1), tmp_path, 1)[1]
    assert own.study.folds == 1
    assert {(trial.epochs, trial.folds) for trial in store.trials(own.id)} == {(1, ())}


def test_an_exported_study_keeps_its_folds(home: Path, call: Call, tmp_path: Path) -> None:
    """What comes back from a file keeps all promises, too."""
    store, record = ran(folded(), home, 1)
    file = str(tmp_path / "small.hpsearch")
    assert call("export", "small", file).code == 0
    assert call("import", file, "--name", "other").code == 0
    other = store.study("other")
    assert [trial.folds for trial in store.trials(record.id)] == [
        trial.folds for trial in store.trials(other.id)
    ]


def test_verify_sees_what_was_changed(home: Path, call: Call) -> None:
    """The folds divide the curve, and their mean is the value."""
    store, record = ran(folded(4), home, 1)
    trial = store.trials(record.id)[1]
    changes = {
        "value = 0.5": {"folds", "outcomes"},
        "folds = '[[3,16,0.5],[9,46,0.5]]'": {"folds", "curves"},
        "folds = NULL": {"folds"},
        "folds = '[1]'": {"folds"},
    }
    whole = dumps([astuple(fold) for fold in trial.folds])
    for change, broken in changes.items():
        with store.database.write() as connection:
            connection.execute(sa.text(f"UPDATE hpsearch_trials SET {change} WHERE number = 1"))
        found = call("verify", "small", "--no-tracking", "--json").json["violations"]
        assert broken == {violation["invariant"] for violation in found} - {"optuna"}
        back = sa.text("UPDATE hpsearch_trials SET value = :value, folds = :folds WHERE number = 1")
        with store.database.write() as connection:
            connection.execute(back, {"value": trial.value, "folds": whole})


def test_plan_counts_every_fold(call: Call, write: Write) -> None:
    """The epochs are those of all trainings; the pruner decides after folds."""
    told = call("plan", write(folded()), "--no-timing", "--json").json
    assert told["epochs"] == 12 * 4 * 3
    assert told["expected_epochs"] < told["epochs"]
    assert told["rungs"] == [1, 2]
    said = call("plan", write(folded()), "--no-timing").out
    assert "the halving pruner decides after fold 1 and 2" in said
    repeated = replace(study(training__repeats=3), name="repeated")
    assert call("plan", write(repeated), "--json").json["epochs"] == 6 * 3 * 3
