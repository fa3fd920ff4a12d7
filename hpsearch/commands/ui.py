"""How does a person get to see the runs? MLflow's UI on this workspace, for its owner alone."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from hpsearch import settings
from hpsearch.commands.printing import links, say
from hpsearch.commands.wiring import open_store, signals
from hpsearch.errors import HpsearchError, UsageError
from hpsearch.threads import begin

app = typer.Typer()

_LOOPBACK = "127.0.0.1"
_LINKED = 4
"""Studies whose pages are printed."""
_PASSWORD, _USER = "HPSEARCH_UI_PASSWORD", "HPSEARCH_UI_USER"


@app.command(epilog="Example: hpsearch ui --open")
def ui(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Default: the first free port from 5000 on."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    serve: Annotated[
        bool,
        typer.Option("--serve", help=f"Let workers write runs, with the password in ${_PASSWORD}."),
    ] = False,
    host: Annotated[
        str, typer.Option(help="The address to listen on. Any but the default needs --serve.")
    ] = _LOOPBACK,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="A name that --serve is reached by."),
    ] = None,
) -> None:
    """Browse the studies in MLflow's UI."""
    from hpsearch.projections import buckets

    places = settings.read()
    remote = places.tracking_uri.startswith("http")
    if serve and remote:
        raise UsageError(
            "--serve: MLFLOW_TRACKING_URI already names a server; unset it to start one here"
        )
    if not serve and (host != _LOOPBACK or allow_host):
        raise UsageError(
            f"--host, --allow-host: require --serve, which requires a password; without it, the UI "
            f"listens on {_LOOPBACK} only"
        )
    if remote:
        root = _without_user(places.tracking_uri)
        links(_lines(places, root, ""))
        if open_:
            _open(root)
        return
    buckets.check(places)
    if not serve:
        _refuse_nothing(places)
    _run(places, port, host, allow_host or [], serve=serve, open_=open_)


def _run(
    places: settings.Settings,
    port: int | None,
    host: str,
    more: list[str],
    *,
    serve: bool,
    open_: bool,
) -> None:
    from hpsearch.ui import server
    from hpsearch.ui.access import Access, Password, Token
    from hpsearch.ui.allowed import BROWSE, RECORD

    if sys.stderr.isatty():
        say("hpsearch: starting MLflow's UI; this takes a few seconds")
    access: Access
    password = _password() if serve else ""
    bound = server.bind(host, port)
    number = bound.getsockname()[1]
    names = {f"{name}:{number}" for name in (_LOOPBACK, "localhost")} | {m.lower() for m in more}
    root, entry = f"http://{_LOOPBACK}:{number}", ""
    if serve:
        access = Password(os.environ.get(_USER) or "hpsearch", password)
    else:
        token = secrets.token_urlsafe(32)
        access, entry = Token(token, f"hpsearch-ui-{number}"), f"?token={token}"
    if number == 80:  # which browsers leave out
        names |= {name.removesuffix(":80") for name in names}
    rules = BROWSE + RECORD if serve else BROWSE
    running = server.Server(places, bound, hosts=names, access=access, rules=rules, records=serve)
    lines = _lines(places, root, entry) if entry else [f"MLflow is served on {host}:{number}"]
    with _page(f"{root}/{entry}") as page:

        def ready() -> None:
            links(lines)
            if open_:
                begin(threading.Thread(target=_open, args=(page,), daemon=True))

        with signals(running.stop, lambda: None) as received:
            running.run(ready)
    if received:
        raise typer.Exit(128 + received[0])


def _lines(places: settings.Settings, root: str, entry: str) -> list[str]:
    """Where the UI is, and where the runs of the newest studies are in it."""
    from hpsearch.projections.mlflow_content import StudyContent
    from hpsearch.projections.mlflow_look import Reader

    lines = [f"MLflow UI: {root}" + (f"/{entry}  (Ctrl-C ends it)" if entry else "")]
    with suppress(HpsearchError):  # MLflow's own pages are there without ours
        newest = open_store().studies()[::-1]
        for record in newest[:_LINKED]:
            pages = Reader(places, StudyContent(record)).pages
            lines += [
                f"  {record.name}, {name}: {root}/{entry}{page.removeprefix('/')}"
                for name, page in pages.items()
            ]
        if newest[_LINKED:]:
            lines.append("  older studies are in MLflow's list of experiments")
    return lines


def _refuse_nothing(places: settings.Settings) -> None:
    """Refuse to show a workspace that has no runs."""
    import sqlalchemy as sa

    with suppress(sa.exc.ArgumentError):  # which MLflow tells in its own words
        url = sa.make_url(places.tracking_uri)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            raise UsageError(f"{places.home}: no MLflow runs yet; `hpsearch run book` creates some")


def _password() -> str:
    from hpsearch.ui.access import SHORTEST

    password = os.environ.get(_PASSWORD, "")
    if len(password) < SHORTEST:
        raise UsageError(
            f"--serve: set {_PASSWORD}, or {_PASSWORD}_FILE to a file that contains it; the "
            f"password must have at least {SHORTEST} characters"
        )
    return password


def _open(address: str) -> None:
    if not webbrowser.open(address):
        say("hpsearch: found no web browser; open the address above yourself")


@contextmanager
def _page(address: str) -> Iterator[str]:
    """A file that leads to an address. A browser gets that, as every user sees its arguments."""
    handle, name = tempfile.mkstemp(prefix="hpsearch-ui-", suffix=".html")  # for its owner alone
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f'<meta charset="utf-8"><script>location.replace("{address}")</script>')
        yield Path(name).as_uri()
    finally:
        Path(name).unlink(missing_ok=True)


def _without_user(uri: str) -> str:
    from hpsearch.redact import address

    parts: Any = urlsplit(address(uri).rstrip("/"))  # a password may hold a slash
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return str(bare.geturl()).rstrip("/")
