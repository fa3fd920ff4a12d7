"""How does MLflow's UI run in this process, and when does it answer?

It runs here, not in MLflow's command line: one process, no jobs, no life beside its requests, and
nothing between a socket and MLflow's application but the guard.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hpsearch.errors import HpsearchError, TrackingError
from hpsearch.projections.mlflow_client import Connection
from hpsearch.settings import Settings
from hpsearch.ui.access import Access
from hpsearch.ui.allowed import Rule, safe
from hpsearch.ui.content import Artifact
from hpsearch.ui.guard import App, Guard

if TYPE_CHECKING:
    import uvicorn

PORT = 5000
"""The port that is tried first."""
_PORTS = 100
_PROXIED = "mlflow-artifacts:"
_QUIET = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    "MLFLOW_ENABLE_WORKSPACES": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def bind(host: str, port: int | None) -> socket.socket:
    """A socket that listens; where no port is named, on the next free one.

    Raises:
        HpsearchError: If the port is taken.
    """
    wanted = [port] if port is not None else [*range(PORT, PORT + _PORTS), 0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in wanted:
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, number))
            bound.listen(128)
        except OSError as error:
            bound.close()
            if number == wanted[-1]:
                why = error.strerror or error
                raise HpsearchError(f"{host}:{number}: {why}; use another --port") from error
        else:
            return bound
    raise AssertionError("the last port was tried")


class Server:
    """MLflow's UI behind its guard.

        >>> server = Server(settings, socket, hosts=…, access=…, rules=BROWSE, records=False)
        >>> server.run(lambda: print("open it"))

    Args:
        settings: The workspace; its MLflow is a database.
        bound: Where to listen.
        hosts: What a request's ``Host`` may be.
        access: Who may look.
        rules: What is served.
        records: Whether runs are written to it, their artifacts through it.

    Raises:
        TrackingError: If MLflow's database cannot be opened.
    """

    def __init__(
        self,
        settings: Settings,
        bound: socket.socket,
        *,
        hosts: Collection[str],
        access: Access,
        rules: Iterable[Rule],
        records: bool,
    ) -> None:
        self._bound = bound
        self._records = records
        self._artifacts, self._bucket = settings.artifacts, settings.bucket
        self._mlflow = Connection(settings)
        app = _mlflow_app(_environment(settings, hosts, records=records))
        self._guard = Guard(app, hosts=hosts, access=access, rules=rules, inside=self._inside)
        self._server: uvicorn.Server | None = None
        self._stopped = False

    def stop(self) -> None:
        """Answer what was asked, and end. May be called from a signal handler."""
        self._stopped = True
        if self._server is not None:
            self._server.should_exit = True

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until it is stopped.

        Args:
            ready: Called once, when it answers.
        """
        import uvicorn

        class Answering(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready()

            @contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # whoever started this handles them

        config = uvicorn.Config(
            self._guard,
            interface="asgi3",
            lifespan="off",  # MLflow would look for containers of its assistant
            ws="none",
            proxy_headers=False,
            server_header=False,
            access_log=self._records,
            timeout_graceful_shutdown=2,
            log_level="info" if self._records else "critical",
        )
        self._server = Answering(config)
        self._server.should_exit = self._stopped
        self._server.run([self._bound])

    def _inside(self, artifact: Artifact) -> bool:
        """Whether an artifact lies in the workspace's folder or bucket, or in its run's."""
        if artifact.path and not safe(artifact.path):
            return False
        try:
            with self._mlflow.failures():
                uri = self._mlflow.client.get_run(artifact.run).info.artifact_uri
        except TrackingError:
            return False
        if uri.startswith(_PROXIED):
            experiment = artifact.experiment or uri.removeprefix(f"{_PROXIED}/").partition("/")[0]
            expected = f"{_PROXIED}/{experiment}/{artifact.run}/artifacts"
            return self._records and experiment.isdecimal() and uri == expected
        if artifact.experiment is not None:
            return False
        return in_bucket(uri, self._bucket) or inside(uri, artifact.path, self._artifacts)


def in_bucket(uri: str, bucket: str | None) -> bool:
    """Whether an artifact URI is in a bucket's folder, out of which no path leads."""
    return bucket is not None and uri.startswith(f"{bucket}/")


def inside(uri: str, path: str, folder: Path) -> bool:
    """Whether a path below an artifact URI is in a folder, links followed."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc or parts.query or parts.fragment:
        return False
    root = Path(url2pathname(parts.path))
    try:
        places = [place.resolve() for place in (root, root / path)]
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, links in a circle
        return False
    return all(place.is_relative_to(folder.resolve()) for place in places)


def _environment(settings: Settings, hosts: Collection[str], *, records: bool) -> dict[str, str]:
    """What MLflow's application reads when it is imported, as its own command line would set it."""
    artifacts = settings.artifact_location
    own = {
        "_MLFLOW_SERVER_FILE_STORE": settings.tracking_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": f"{_PROXIED}/" if records else artifacts,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}" for host in hosts),
    }
    if records:
        own["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
        own["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = artifacts
    return own | _QUIET


def _mlflow_app(environment: dict[str, str]) -> App:
    for name in [name for name in os.environ if name.startswith("_MLFLOW_")]:
        del os.environ[name]  # another server's, if this was started by one
    os.environ.update(environment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's libraries, about one another
        from mlflow.server import fastapi_app
    app: App = fastapi_app.app
    return app
