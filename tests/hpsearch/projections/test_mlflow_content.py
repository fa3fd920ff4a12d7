"""What MLflow is told in its own terms: texts, times and who it was."""

from __future__ import annotations

import getpass
import os

import pytest

from hpsearch.projections import run_content
from hpsearch.projections.run_content import milliseconds, text


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.1, "0.1"), (1, "1"), (True, "true"), ([8, 4], "[8, 4]"), ("relu", "relu")],
)
def test_text_is_read_back(value: object, expected: str) -> None:
    """A number is the shortest text of its bits, a list its JSON, and a word itself."""
    assert expected.replace(" ", "") == text(value).replace(" ", "")  # type: ignore[arg-type]


def test_long_text_is_cut_where_mlflow_would() -> None:
    """At 6000 characters."""
    assert text("x" * 6001) == "x" * 6000


def test_times_are_whole_milliseconds() -> None:
    """Rounded to the nearest: the same second gives the same number every time."""
    assert (milliseconds(1.5), milliseconds(1.0004), milliseconds(1.0006)) == (1500, 1000, 1001)


def test_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container a user may be a number, and elsewhere not even that."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert run_content._user() == "ada"

    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.setattr(os, "getuid", lambda: 1234, raising=False)
    assert run_content._user() == "1234"
    monkeypatch.delattr(os, "getuid")
    assert run_content._user() == "unknown"
