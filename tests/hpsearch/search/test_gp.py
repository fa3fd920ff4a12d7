"""The Gaussian process needs PyTorch, and says so where it is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.errors import UsageError
from hpsearch.search import suggest
from hpsearch.search.delay import learns_from
from hpsearch.study.config import Study
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line


def gp() -> Study:
    return study(search__sampler="gp", search__lag=2, search__startup=4)


def test_without_torch_a_run_says_what_to_install(
    call: Call, write: Write, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, before anything is entered in the store."""
    monkeypatch.setattr(suggest, "find_spec", lambda name: None)
    ended = call("run", write(gp()))
    assert ended.code == 2
    assert one_line(ended).endswith(
        "search.sampler: gp needs PyTorch, which is not installed; run: pip install 'hpsearch[gp]'"
    )
    assert call("studies", "--json").json == []


def test_it_is_asked_for_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other sampler needs it, and one that has it is not refused."""
    monkeypatch.setattr(suggest, "find_spec", lambda name: None)
    suggest.require(study(search__sampler="tpe"))
    with pytest.raises(UsageError):
        suggest.require(gp())
    monkeypatch.setattr(suggest, "find_spec", lambda name: object())
    suggest.require(gp())


def test_it_learns_after_its_startup() -> None:
    """As TPE does: from trial lag + startup - 1 on."""
    assert learns_from(gp()) == 5
