"""What ``verify`` sends when it asks a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hpsearch.verify.tracking_reading import _Rest

Asked = list[tuple[str, str | None]]


@contextmanager
def server(asked: Asked, leads_to: str = "") -> Iterator[str]:
    """One that notes path and credentials, and redirects what begins with ``/api``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            if self.path.startswith("/api"):
                self.send_response(302)
                self.send_header("Location", f"{leads_to}/elsewhere")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


@pytest.mark.parametrize("same", [True, False])
def test_a_redirect_gets_no_credentials_of_another_origin(same: bool) -> None:
    """A redirect is followed; only where it stays with the server it takes the password along."""
    asked: Asked = []
    elsewhere: Asked = []
    with ExitStack() as servers:
        other = servers.enter_context(server(elsewhere))
        first = servers.enter_context(server(asked, "" if same else f"http://{other}"))
        assert _Rest(f"http://me:secret@{first}").json("/api") == {}
    basic = "Basic bWU6c2VjcmV0"
    expected = [("/api", basic), ("/elsewhere", basic if same else None)]
    assert expected == asked + elsewhere
