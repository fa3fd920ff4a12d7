"""What stands before MLflow? An ASGI application that lets through what is allowed.

First whether a request comes from here, then who sends it, then what it asks for. What passes is
written anew: its path, its query and its JSON body as they were read here, and of its headers only
those that MLflow needs. MLflow sees neither token nor password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

from hpsearch.ui import content
from hpsearch.ui.access import Access, from_here
from hpsearch.ui.allowed import STANDS_IN, Bears, Rule, find
from hpsearch.ui.http import JSON, Answer, Request, refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Inside = Callable[[content.Artifact], bool]
"""Whether a run's artifact lies where artifacts are kept."""

LARGEST_FILE = 1 << 30
"""Bytes of an artifact."""

_PASSED = {"accept", "if-modified-since", "if-none-match", "user-agent"}
_OF_A_FILE = {"content-type", "content-length", "transfer-encoding"}
_ADDED = {
    # Scripts of MLflow's own come from here; a report that someone logged reaches nobody else.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'self' data: blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}


class Guard:
    """Lets through to ``app`` what is allowed, and answers everything else itself.

    Args:
        app: MLflow's application.
        hosts: What a request's ``Host`` may be, each with its port.
        access: Who may look.
        rules: What is served.
        inside: Whether a run's artifact may be read or written.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Collection[str],
        access: Access,
        rules: Iterable[Rule],
        inside: Inside,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._access = access
        self._rules = tuple(rules)
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return
        request = Request.of(scope)
        refused = from_here(request, self._hosts) or self._access.answer(request)
        if refused is not None:
            await _say(refused, send)
            return
        if request.method == "GET" and request.path in STANDS_IN:
            await _say(Answer(200, STANDS_IN[request.path], {"content-type": JSON}), send)
            return
        found = find(self._rules, request.method, request.path)
        if found is None:
            await _say(refusal(404, "this is not served here"), send)
            return
        rule, parts = found
        names = content.query(rule, request.query)
        if isinstance(names, Answer):
            await _say(names, send)
            return
        if rule.artifact and (refused := await self._outside(rule, parts, names)):
            await _say(refused, send)
            return
        query = content.written(names)
        if rule.bears is Bears.FILE:
            await self._stream(scope, request, query, receive, send)
            return
        body = await self._brought(rule, request, receive)
        if isinstance(body, Answer):
            await _say(body, send)
            return
        of_body = {"content-type": JSON, "content-length": str(len(body))}
        headers = {} if rule.bears is Bears.QUERY else of_body
        await self._pass(scope, request, query, headers, _whole(body, receive), send)

    async def _outside(
        self, rule: Rule, parts: Mapping[str, str | None], names: content.Names
    ) -> Answer | None:
        """Refuse an artifact that does not lie where artifacts are kept."""
        named = content.artifact(parts, names)
        if isinstance(named, Answer):
            return named
        if await asyncio.to_thread(self._inside, named):
            return None
        return refusal(404, "there is no such artifact here")

    async def _brought(self, rule: Rule, request: Request, receive: Receive) -> bytes | Answer:
        """A request's body, read and checked."""
        largest = 0 if rule.bears is Bears.QUERY else content.LARGEST
        brought = await _read(receive, largest)
        if brought is None:
            return refusal(413, f"the body has more than {largest} bytes")
        if rule.bears is Bears.QUERY:
            return b""
        return content.body(rule, brought, request.one("content-type"))

    async def _stream(
        self, scope: Scope, request: Request, query: str, receive: Receive, send: Send
    ) -> None:
        """Have MLflow take a file as it comes, up to what a file may have."""
        count, over = 0, False

        async def counted() -> Message:
            nonlocal count, over
            message = await receive()
            count += len(message.get("body", b""))
            over = over or count > LARGEST_FILE
            # What MLflow has of it so far it throws away, as when a client is gone.
            return {"type": "http.disconnect"} if over else message

        async def answered(message: Message) -> None:
            if not over:
                await send(message)

        headers = {name: value for name, value in request.headers if name in _OF_A_FILE}
        try:
            await self._pass(scope, request, query, headers, counted, answered)
        except Exception:
            if not over:
                raise
        if over:
            await _say(refusal(413, f"the file has more than {LARGEST_FILE} bytes"), send)

    async def _pass(
        self,
        scope: Scope,
        request: Request,
        query: str,
        headers: Mapping[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        """Have MLflow answer, with the request written anew."""
        passed = {name: value for name, value in request.headers if name in _PASSED}
        host = {"host": request.one("host") or ""}
        anew = {
            **scope,
            "root_path": "",
            "raw_path": quote(request.path).encode(),
            "query_string": query.encode(),
            "headers": _encoded({**passed, **headers, **host}),
        }
        await self._app(anew, receive, _dressed(send))


async def _read(receive: Receive, largest: int) -> bytes | None:
    """A body; None if it is larger than that."""
    read, more = bytearray(), True
    while more:
        message = await receive()
        read += message.get("body", b"")
        more = message.get("more_body", False)
        if len(read) > largest:
            return None
    return bytes(read)


def _whole(body: bytes, receive: Receive) -> Receive:
    """Receive a body that is here already, and then whatever else happens."""
    given = False

    async def whole() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return whole


def _dressed(send: Send) -> Send:
    """Send MLflow's answers with headers of ours, and without those that open them to others."""

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if (key := name.decode("latin-1").lower()) not in _ADDED
                and not key.startswith("access-control-")
                and key not in ("server", "set-cookie")
            ]
            message = {**message, "headers": kept + _encoded(_ADDED)}
        await send(message)

    return dressed


async def _say(answer: Answer, send: Send) -> None:
    body = answer.text.encode()
    headers = {**_ADDED, **answer.headers, "content-length": str(len(body))}
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": _encoded(headers)}
    )
    await send({"type": "http.response.body", "body": body})


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
