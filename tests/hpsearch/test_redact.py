"""No secret of an address is shown, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.redact import address, redact

HIDDEN = {
    "postgresql+psycopg://me:secret@host/db": "postgresql+psycopg://me:***@host/db",
    "postgresql://me:sec@ret@host/db": "postgresql://me:***@host/db",
    "postgresql://me:sec/ret@host/db": "postgresql://me:***@host/db",
    "postgresql://me:sec ret@host/db": "postgresql://me:***@host/db",
    "postgresql://me:sec:ret?@host/db": "postgresql://me:***@host/db",
    "postgresql://me:s?e@c ret/@host:5432/db": "postgresql://me:***@host:5432/db",
    "https://secret@host:5000": "https://***@host:5000",
    "https://:secret@host": "https://:***@host",
    "http://host:5000/?token=secret": "http://host:5000/?token=***",
    "postgresql://host/db?user=me&password=secret": "postgresql://host/db?user=me&password=***",
    "postgresql://host/db?password=sec ret&user=me": "postgresql://host/db?password=***&user=me",
    "postgresql://host/db?sslpassword=secret": "postgresql://host/db?sslpassword=***",
    "postgresql://host/db?SSLPassword=secret": "postgresql://host/db?SSLPassword=***",
    "postgresql://host/db?user=me&%70assword=secret": "postgresql://host/db?user=me&%70assword=***",
    "postgresql://host/db?%50%61SSWORD=secret&user=me": (
        "postgresql://host/db?%50%61SSWORD=***&user=me"
    ),
    "postgresql://host/db?oauth_client_secret=secret": (
        "postgresql://host/db?oauth_client_secret=***"
    ),
    "postgresql://u:a@b:c@host/db?password=secret": "postgresql://u:***@host/db?password=***",
}
SHOWN = [
    "sqlite:////home/me@work/studies.db",
    "sqlite:///studies.db",
    "http://localhost:5000",
    "http://localhost:5000/base?x=1",
    "postgresql://host/db?user=me@there",
    "postgresql://host:5432/db?sslmode=require&application_name=a@b",
]


@pytest.mark.parametrize("given", HIDDEN)
def test_address(given: str) -> None:
    """What stands before the last ``@`` is hidden, and what a query calls a password."""
    assert HIDDEN[given] == address(given)
    assert HIDDEN[given] == redact(given)
    assert f"MLflow at '{HIDDEN[given]}': it is away" == redact(f"MLflow at '{given}': it is away")


@pytest.mark.parametrize("given", SHOWN)
def test_address_without_a_secret(given: str) -> None:
    """An address that holds no secret is shown as it is."""
    assert given == address(given)
    line = f"{given}: cannot be opened; ask admin@example.org"
    assert line == redact(line)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("connection failed: host=h password=secret dbname=d", "password=*** dbname=d"),
        ("password='sec ret' dbname=d", "password=*** dbname=d"),
        ("no address: host/db?user=me&password=secret", "?user=me&password=***"),
        ("host/db?password=secret&user=me", "?password=***&user=me"),
        ("headers {'Authorization': 'Basic c2VjcmV0'}", "'Authorization': 'Basic ***'"),
        ("Authorization: Bearer secret", "Authorization: Bearer ***"),
        ("http://a:secret@x to http://b:secret@y", "http://a:***@x to http://b:***@y"),
        ("pad_token=0.3  lr=0.1", "pad_token=0.3  lr=0.1"),
        ("the password authentication failed", "the password authentication failed"),
    ],
)
def test_line(line: str, shown: str) -> None:
    """Secrets are hidden wherever in a line they stand, and nothing else is."""
    assert shown in redact(line)
    assert "secret" not in redact(line)
    assert "sec ret" not in redact(line)


def test_what_follows_a_hidden_secret_stays() -> None:
    """The reason after an address that was redacted already is no part of it."""
    for hidden in HIDDEN.values():
        line = f"{hidden}: no role a@b, see x=1&y=2"
        assert line == redact(line)


@given(
    secret=st.text(st.characters(exclude_characters="\"'<>\n", codec="utf-8"), min_size=1).map(
        lambda text: f"QX{text}QX"
    )
)
def test_any_password(secret: str) -> None:
    """No piece of a password gets through, whatever is in it and not escaped."""
    url = f"postgresql://me:{secret}@host/db"
    assert "QX" not in address(url)
    assert "QX" not in redact(f"{url}: refused, ask me", url)
