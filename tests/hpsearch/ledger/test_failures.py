"""What a database's refusal means, by its code: what to do, and whether to try again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from hpsearch.ledger import failures


class Refused(Exception):
    """What a driver raises, with the code that it gives."""

    def __init__(self, text: str = "no", **codes: str | None) -> None:
        super().__init__(text)
        vars(self).update(codes)


def error(kind: type[DBAPIError] = OperationalError, text: str = "no", **codes: Any) -> DBAPIError:
    """What SQLAlchemy makes of it."""
    return kind("SELECT 1", {}, Refused(text, **codes))


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ({"sqlite_errorname": "SQLITE_FULL"}, "; free some space, then run the same command again"),
        ({"sqlstate": "53100"}, "; free some space, then run the same command again"),
        ({"sqlite_errorname": "SQLITE_BUSY"}, " by another program for more than 30 s; close it, "),
        ({"sqlite_errorname": "SQLITE_BUSY_SNAPSHOT"}, " by another program for more than 30 s; "),
        ({"sqlite_errorname": "SQLITE_LOCKED"}, " by another program for more than 30 s; close "),
        ({"sqlstate": "55P03"}, " by another program for more than 30 s; close it, then try again"),
        ({"sqlite_errorname": "SQLITE_CORRUPT"}, "; restore a backup with `hpsearch restore`"),
        ({"sqlite_errorname": "SQLITE_NOTADB"}, "; restore a backup with `hpsearch restore`"),
        ({"sqlstate": "22P05"}, "; use a database that was made WITH ENCODING 'UTF8'"),
        ({"sqlstate": "42P01"}, ""),
        ({"sqlite_errorname": "SQLITE_ERROR"}, ""),
    ],
)
def test_what_to_do(codes: dict[str, str], said: str) -> None:
    """Where it is known, it is said."""
    found = failures.advice(error(**codes), 30.0)
    assert (found[: len(said)], bool(found)) == (said, bool(said))


@pytest.mark.parametrize(
    ("codes", "refused"),
    [
        ({"sqlite_errorname": "SQLITE_READONLY"}, True),
        ({"sqlite_errorname": "SQLITE_READONLY_DBMOVED"}, True),
        ({"sqlstate": "25006"}, True),
        ({"sqlstate": "42501"}, True),
        ({"sqlstate": "42P01"}, False),
        ({"sqlite_errorname": "SQLITE_FULL"}, False),
    ],
)
def test_writes_that_are_refused_as_such(codes: dict[str, str], refused: bool) -> None:
    """By either kind of database."""
    assert failures.read_only(error(**codes)) is refused


@pytest.mark.parametrize(
    ("state", "away", "race"),
    [
        ("40001", True, True),
        ("40P01", True, True),
        ("08006", True, False),
        ("57P01", True, False),
        (None, True, False),
        ("53100", False, False),
        ("42P01", False, False),
    ],
)
def test_what_may_be_tried_again(state: str | None, away: bool, race: bool) -> None:
    """A server that is gone, or that undid this for another; not one that has refused."""
    assert failures.away(error(sqlstate=state)) is away
    assert failures.away(error(InterfaceError, sqlstate=state)) is away
    assert failures.away(error(IntegrityError, sqlstate=state)) is False
    assert failures.lost_race(error(sqlstate=state)) is race


def test_a_server_of_another_encoding_is_not_away() -> None:
    """It answers, in whatever language, and would answer the same again."""
    told = error(text="Umwandlung zwischen UTF8 und EUC_TW", sqlstate=None)
    assert not failures.away(told)
    assert failures.advice(told, 30.0).startswith("; use a database that was made")


def test_in_one_line() -> None:
    """The driver's words, without passwords; another's lock is called that."""
    told = error(text="no\n  such postgresql://me:secret@host/db", sqlstate="42P01")
    assert failures.reason(told).startswith("no such postgresql://me:")
    assert "secret" not in failures.reason(told)
    assert failures.reason(error(text="canceling", sqlstate="55P03")) == "database is locked"
    assert failures.reason(ValueError("a\nb")) == "a b"
    assert not failures.lost_race(ValueError())
    assert not failures.read_only(SimpleNamespace())  # type: ignore[arg-type]
