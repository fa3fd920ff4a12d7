"""``verify`` asks a server as MLflow's own client does, with what a person has set up for that."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

from hpsearch.errors import TrackingError
from hpsearch.verify.rest import Rest

Asked = list[tuple[str, str | None]]

ME = "Basic bWU6c2VjcmV0"  # me:secret


@contextmanager
def server(
    asked: Asked, leads_to: str = "", certificate: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """One that notes path and credentials, and redirects what begins with ``/redirected``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path.startswith("/redirected"):
                self.send_response(302)
                self.send_header("Location", f"{leads_to}/elsewhere")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a person who has set up nothing."""
    for name in [n for n in os.environ if n.startswith(("MLFLOW_TRACKING", "REQUESTS", "NETRC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def file(home: Path, name: str, text: str) -> None:
    """A file of a person's own."""
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_text(text)
    (home / name).chmod(0o600)


CREDENTIALS = "[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = secret\n"
NETRC = "machine 127.0.0.1 login me password secret\n"
USER = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"}
TOKEN = {"MLFLOW_TRACKING_TOKEN": "t"}
LOGINS: dict[str, tuple[str, dict[str, str], dict[str, str], str | None]] = {
    "nothing": ("", {}, {}, None),
    "in the address": ("me:secret@", {}, {}, ME),
    "variables": ("", USER, {}, ME),
    "a name alone": ("", {"MLFLOW_TRACKING_USERNAME": "me"}, {}, None),
    "a token": ("", TOKEN, {}, "Bearer t"),
    "a password before a token": ("", USER | TOKEN, {}, ME),
    "credentials": ("", {}, {".mlflow/credentials": CREDENTIALS}, ME),
    "a variable before credentials": (
        "",
        {"MLFLOW_TRACKING_USERNAME": "you"},
        {".mlflow/credentials": CREDENTIALS},
        "Basic eW91OnNlY3JldA==",
    ),
    "netrc": ("", {}, {".netrc": NETRC}, ME),
    "netrc before a token": ("", TOKEN, {".netrc": NETRC}, ME),
}


@pytest.mark.parametrize(("user", "environ", "files", "sent"), LOGINS.values(), ids=LOGINS)
def test_login(
    nobody: Path,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    environ: dict[str, str],
    files: dict[str, str],
    sent: str | None,
) -> None:
    """MLflow's own client and ``verify`` send the same, which is what was set up."""
    from mlflow import MlflowClient

    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for name, text in files.items():
        file(nobody, name, text)
    asked: Asked = []
    with server(asked) as place:
        MlflowClient(f"http://{user}{place}").search_experiments()
        assert Rest(f"http://{user}{place}").json("/api") == {}
    assert [sent, sent] == [credentials for _, credentials in asked]


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("how", ["in the address", "variables"])
def test_a_redirect_gets_no_credentials_of_another_origin(
    monkeypatch: pytest.MonkeyPatch, how: str, same: bool
) -> None:
    """A redirect is followed; only where it stays with the server it takes the password along."""
    user, environ, _, _ = LOGINS[how]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    asked: Asked = []
    elsewhere: Asked = []
    with ExitStack() as servers:
        other = servers.enter_context(server(elsewhere))
        first = servers.enter_context(server(asked, "" if same else f"http://{other}"))
        assert Rest(f"http://{user}{first}").json("/redirected") == {}
    expected = [("/redirected", ME), ("/elsewhere", ME if same else None)]
    assert expected == asked + elsewhere


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that nobody has signed but its owner, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize(
    "variable",
    [
        "MLFLOW_TRACKING_INSECURE_TLS",
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "REQUESTS_CA_BUNDLE",
        None,
    ],
)
def test_certificate(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    """A certificate of one's own is trusted where MLflow's client is told to trust it."""
    if variable:
        insecure = variable == "MLFLOW_TRACKING_INSECURE_TLS"
        monkeypatch.setenv(variable, "true" if insecure else str(certificate[0]))
    asked: Asked = []
    with server(asked, certificate=certificate) as place:
        rest = Rest(f"https://{place}")
        if variable:
            assert rest.json("/api", {"a": 1}) == {}
        else:
            with pytest.raises(TrackingError, match="certificate"):
                rest.json("/api")
    assert len(asked) == bool(variable)
