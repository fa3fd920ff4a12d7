"""The command line: whatever words it gets, in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import testing
from typer.exceptions import Abort, TyperException
from typer.main import get_command

from hpsearch import cli
from hpsearch.errors import HpsearchError
from hpsearch.ledger.database import Database
from hpsearch.study import file as study_file
from hpsearch.trust import environment
from hpsearch.work import session
from tests.conftest import study
from tests.fuzz.bounds import LONGEST_LINE, bounded, examples
from tests.hpsearch.ledger.test_edited import enter

WORDS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="/~\0"), max_size=8
).filter(lambda word: word not in (".", ".."))
NAMES = st.one_of(WORDS, st.sampled_from(["small", "smal", "-small", "--", "small.toml", "…"]))
NUMBERS = st.one_of(
    st.integers().map(str),
    st.integers(-1, 5).map(str),
    st.floats().map(str),
    st.sampled_from(["1/5", "0/0", "1/0", "5/1", "9" * 5000, "1e3", "0x1", "１", "²", ""]),
    WORDS,
)
VALUES = st.one_of(
    NUMBERS,
    st.sampled_from(
        [
            "[8, 8]",
            "{ low = 0.1, high = 0.2 }",
            "{ choices = [1, 2] }",
            '"grid"',
            "true",
            "nan",
            "[",
            "[" * 200,
            "1979-05-27",
            '"\\u0000"',
            "npz:x.npz",
            "csv:small.toml#name",
            "images:small.toml",
            "idx:small.toml",
        ]
    ),
)
PATHS = st.one_of(
    st.sampled_from(
        [
            *["name", "data", "search", "", ".", "a.b.c.d"],
            *["data.train", "data.validation", "data.dataset", "data.test", "data.scaling"],
            *["network.hidden", "network.dropout", "network.init", "network.batch_norm"],
            *["training.lr", "training.epochs", "training.batch_size", "training.seed"],
            *["search.trials", "search.sampler", "search.pruner", "search.lag", "search.enqueue"],
            *["objective.function", "params.a", "given.seeds", "tracking.tags", "compute.threads"],
        ]
    ),
    WORDS,
)
CHANGES = st.builds(lambda path, value: f"{path}={value}", PATHS, VALUES) | WORDS


def option(name: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """An option with its value, in either spelling, or left out."""
    given = st.builds(lambda value: [name, value], values)
    joined = st.builds(lambda value: [f"{name}={value}"], values)
    return st.one_of(st.just([]), given, joined)


def command(
    name: str, *parts: st.SearchStrategy[str] | st.SearchStrategy[list[str]]
) -> st.SearchStrategy[list[str]]:
    """A command with its arguments and options."""
    return st.tuples(*parts).map(
        lambda given: [name, *(w for p in given for w in ([p] if isinstance(p, str) else p))]
    )


JSON = st.sampled_from([[], ["--json"]])
TRIAL = option("--trial", NUMBERS)
COMMANDS = st.one_of(
    command(
        "run",
        st.one_of(st.just("small.toml"), NAMES),
        st.lists(st.builds(lambda change: ["--set", change], CHANGES), max_size=3).map(
            lambda pairs: [word for pair in pairs for word in pair]
        ),
        option("--name", NAMES),
        option("--trials", NUMBERS),
        option("--workers", NUMBERS),
        st.just(["--no-tracking"]),
    ),
    command("studies", JSON),
    *(command(name, NAMES, JSON) for name in ("status", "trials", "best")),
    *(command(name, NAMES, TRIAL, JSON) for name in ("config", "curve", "reproduce")),
    command("log", NAMES, TRIAL),
    command("digest", NAMES),
    command("verify", NAMES, option("--reproduce", NUMBERS), st.just(["--no-tracking"]), JSON),
    command("data", st.one_of(NAMES, VALUES), option("--task", WORDS), JSON),
    command("worker", NAMES),
    command("retry", NAMES),
    command("check", NAMES, option("--reproduce", NUMBERS), JSON),
    command("import", NAMES),
    command("restore", NAMES),
    command("delete", NAMES, st.just(["--no-tracking"])),
    command("export", NAMES, st.just("small.toml")),
    command("backup", st.just("small.toml")),
    st.lists(st.one_of(NAMES, NUMBERS), max_size=3),
)


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with a study in it, in a folder of its own with that study's file."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "home").mkdir()
    database = Database(f"sqlite:///{folder}/home/studies.db")
    enter(database)
    database.engine.dispose()
    (folder / "small.toml").write_text(study_file.toml(study()))

    def no_run(*arguments: object, **options: object) -> None:
        raise HpsearchError("it would run now")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("HPSEARCH_STORAGE", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        patch.setenv("HPSEARCH_HOME", str(folder / "home"))
        for name in environment.THREAD_VARIABLES:
            patch.setenv(name, "1")
        patch.setattr(session, "begin", no_run)
        patch.setattr(testing, "_get_command", cache(get_command))  # which takes most of the time
        yield folder


@examples(60)
@given(words=COMMANDS)
def test_any_words(words: list[str]) -> None:
    """A command does what it is told, or says in one line what is wrong with its words."""
    with bounded():
        result = testing.CliRunner().invoke(cli.app, words, standalone_mode=False)
    error = result.exception
    if error is not None and not isinstance(error, HpsearchError | TyperException | Abort):
        raise error
    if error is not None:
        said = cli._usage(error) if isinstance(error, TyperException) else str(error)
        assert "\n" not in said
        assert len(said) < LONGEST_LINE
    elif "--json" in words and result.return_value in (None, 0):
        json.loads(result.stdout, parse_constant=lambda said: pytest.fail(f"{said} is no JSON"))
    assert os.listdir(".") in (["home", "small.toml"], ["small.toml", "home"])
