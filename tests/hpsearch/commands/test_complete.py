"""What a shell completes: commands, studies, trials and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import study
from tests.hpsearch.command_line import Call
from tests.hpsearch.report.made_up import enter


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("hpsearch st", ["studies", "status"]),
        ("hpsearch best ", ["small", "other"]),
        ("hpsearch run qui", ["quick"]),
        ("hpsearch run sma", ["small"]),
        ("hpsearch curve small --trial 1", ["1", "10", "11"]),
        ("hpsearch curve missing --trial 1", []),
        ("hpsearch run book --set training.wei", ["training.weight_decay="]),
    ],
)
def test_completion(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, words: str, expected: list[str]
) -> None:
    """The rest of a word, as bash asks for it."""
    home.mkdir()
    for described in (study(search__trials=12), study(name="other", search__trials=1)):
        enter(home, described)[0].database.engine.dispose()
    assert completed(call, monkeypatch, words) == expected


def test_nothing_without_a_store(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no store there is nothing to complete, and nothing is said or made."""
    assert completed(call, monkeypatch, "hpsearch best ") == []
    assert not home.exists()


def completed(call: Call, monkeypatch: pytest.MonkeyPatch, words: str) -> list[str]:
    """What the command line offers in place of the last word."""
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    monkeypatch.setenv("_HPSEARCH_COMPLETE", "complete_bash")
    outcome = call()
    assert outcome.err == ""
    return outcome.out.split()
