"""Who may look? Whoever holds the token of this start, or knows the password; from here alone.

Each kind of access answers whom it does not know; everyone else it lets through. Before either,
``from_here`` refuses what a page of another origin, or a name that was made to point here, sends.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from binascii import Error
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs

from hpsearch.ui.http import Answer, Request, refusal

SHORTEST = 8
"""Characters of a password."""


_CLOSED = "; ".join(
    f"localStorage.setItem('mlflow.assistant.{key}_v1', '{value}')"
    for key, value in {"fab.autoOpenedOnFirstLoad": "true", "panelOpen": "false"}.items()
)
"""Closes the panel of MLflow's assistant, which is not served and takes a third of the page."""


class Access(Protocol):
    """A way to tell who may look."""

    def answer(self, request: Request) -> Answer | None:
        """What to answer whom this is not for; None for whoever may go on."""


def from_here(request: Request, hosts: Collection[str]) -> Answer | None:
    """Refuse a request that names another host, or that a page of another origin sends.

    Args:
        request: The request.
        hosts: What ``Host`` may be, each with its port.
    """
    host = request.one("host")
    if host is None or host.lower() not in hosts:
        return refusal(403, "this name and port are not served here")
    origins = request.all("origin")
    if any(origin.lower() != f"http://{host.lower()}" for origin in origins):
        return refusal(403, "a page of another origin has no access")
    site = request.all("sec-fetch-site")
    if not _enters(request) and not set(site) <= {"same-origin", "none"}:
        return refusal(403, "a page of another origin has no access")
    return None


def _enters(request: Request) -> bool:
    """Whether this opens an address as it was printed, token and all."""
    return (request.method, request.path) == ("GET", "/") and request.query.startswith("token=")


@dataclass(frozen=True, slots=True)
class Token:
    """A random token: in the printed address first, in a cookie from then on."""

    secret: str
    cookie: str
    """The cookie's name; it has the port in it, as a browser tells cookies by host alone."""

    def answer(self, request: Request) -> Answer | None:
        """Let the cookie's bearer through; give the cookie to whoever brings the token."""
        if _enters(request):
            brought = parse_qs(request.query).get("token", [])
            if len(brought) == 1 and _same(brought[0], self.secret):
                return self._welcome()
            return self._stranger()
        cookies = ";".join(request.all("cookie")).split(";")
        pairs = (cookie.strip().partition("=") for cookie in cookies)
        mine = [value for name, _, value in pairs if name == self.cookie]
        # Another program on this host may have set a cookie of the same name, too.
        return None if any(_same(value, self.secret) for value in mine) else self._stranger()

    def _welcome(self) -> Answer:
        # A page of ours goes on, not a redirect: a browser that came here from elsewhere would not
        # send a strict cookie along with that. The part after "#" stays in the browser.
        page = (
            "<!doctype html><meta charset=utf-8><title>hpsearch ui</title>"
            f"<script>{_CLOSED}; location.replace('/' + location.hash)</script>"
            "<noscript><a href='/'>Go on</a></noscript>"
        )
        cookie = f"{self.cookie}={self.secret}; Path=/; HttpOnly; SameSite=Strict"
        return _page(200, page, {"set-cookie": cookie})

    def _stranger(self) -> Answer:
        return _page(
            403,
            "<!doctype html><meta charset=utf-8><title>hpsearch ui</title>"
            "<p>Open the address that <code>hpsearch ui</code> printed: it has a token in it.",
        )


@dataclass(frozen=True, slots=True)
class Password:
    """One user with a password, by HTTP's basic authentication."""

    user: str
    password: str

    def answer(self, request: Request) -> Answer | None:
        """Let through whoever knows the password, and whoever asks whether the server is up."""
        if (request.method, request.path, request.query) == ("GET", "/health", ""):
            return Answer(200, "OK", {"content-type": "text/plain"})
        scheme, _, brought = (request.one("authorization") or "").partition(" ")
        try:
            known = base64.b64decode(brought.strip(), validate=True).decode()
        except (Error, ValueError):
            known = ""
        if scheme.lower() == "basic" and _same(known, f"{self.user}:{self.password}"):
            return None
        ask = {"www-authenticate": 'Basic realm="hpsearch", charset="UTF-8"'}
        return refusal(401, "a user and a password are needed", ask)


def _same(brought: str, secret: str) -> bool:
    """Compare in a time that tells nothing, not even a length."""
    one, other = (hashlib.sha256(text.encode("utf-8", "replace")) for text in (brought, secret))
    return hmac.compare_digest(one.digest(), other.digest())


def _page(status: int, page: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        status,
        page,
        {"content-type": "text/html; charset=utf-8", "cache-control": "no-store"} | (headers or {}),
    )
