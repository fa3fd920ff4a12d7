"""What stands before a server, and gives wrong answers or none."""

from __future__ import annotations

import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Proxy:
    """What stands before a server and passes everything on, until it is told to misbehave.

    Args:
        upstream: The server's address.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.failed = 0
        """Requests that were not answered as the server would have."""
        self._mode = ""
        self._healed = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self._listen()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def misbehave(self, mode: str) -> None:
        """From now on: ``down``, ``500``, ``hang``, or ``lose`` the answers of runs/create."""
        self._healed.clear()
        self.failed = 0
        self._mode = mode
        if mode == "down":
            self.close()

    def heal(self) -> None:
        """Be as good as the server from now on."""
        self._mode = ""
        self._healed.set()
        if self._server is None:
            self._listen()

    def close(self) -> None:
        """Refuse every connection."""
        self._healed.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Pass a request on, or what the mode says."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if self._mode == "500":
            self.failed += 1
            request.send_error(500)
            return
        if self._mode == "hang":
            self.failed += 1
            self._healed.wait()
            return
        creating = urlsplit(request.path).path.endswith("/runs/create")
        lost = self._mode == "lose" and creating
        connection = http.client.HTTPConnection(self.upstream, timeout=120)
        try:
            headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if lost:
                self.failed += 1
                return
            request.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                    request.send_header(key, value)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
        finally:
            connection.close()

    def _listen(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                with suppress(ConnectionError, TimeoutError):
                    super().handle_one_request()

            def log_message(self, *_: Any) -> None:
                return

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", lambda request: proxy.answer(request))
        # The same port each time: that is the address the study knows.
        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that is killed in the middle is no news here."""
