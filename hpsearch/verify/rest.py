"""How is an MLflow server asked? With what a person has set up for MLflow's own client.

The variables, ``~/.mlflow/credentials`` and ``~/.netrc`` are taken in MLflow's order, and the same
certificates are trusted; none of MLflow's code is asked for it. On a redirect nobody but the server
itself gets the credentials.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from hpsearch.errors import TrackingError
from hpsearch.redact import redact

_TIMEOUT = 30.0
"""Seconds for an answer."""
_PAGE = 1000
_YES = ("true", "1")


class Rest:
    """A server's REST API."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self.where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._uri = uri.rstrip("/")  # what stands before its @ is sent, too
        self._session = requests.Session()
        user, password = _login()
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        if user and password:
            basic = base64.b64encode(f"{user}:{password}".encode()).decode()
            self._session.headers["Authorization"] = f"Basic {basic}"
        elif token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in _YES
        if insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._trusted = not insecure and (
            os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
        )
        self._session.cert = os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH")

    def bytes(self, path: str, body: Mapping[str, Any] | None = None) -> bytes | None:
        """An answer; None if there is nothing of the kind.

        Raises:
            TrackingError: If there is none, or another than was asked for.
        """
        try:
            answer = self._session.request(
                "GET" if body is None else "POST",
                self._uri + path,
                json=body,
                timeout=_TIMEOUT,
                verify=self._trusted,
                allow_redirects=os.environ.get("MLFLOW_ALLOW_HTTP_REDIRECTS", "true").lower()
                in _YES,
            )
        except (requests.RequestException, OSError, ValueError) as error:
            said = redact(" ".join(str(error).split()), self._uri)
            raise TrackingError(f"MLflow at {self.where}: {said}") from error
        if answer.ok:
            return answer.content
        said = " ".join(answer.text.split())
        if answer.status_code == 404 or "RESOURCE_DOES_NOT_EXIST" in said:
            return None
        raise TrackingError(
            f"MLflow at {self.where}: {answer.status_code} {answer.reason}: {said[:200]}"
        )

    def json(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """An answer that is a JSON object; empty if there is nothing of the kind."""
        content = self.bytes(path, body)
        try:
            document = json.loads(content or b"{}")
        except ValueError as error:
            raise TrackingError(f"MLflow at {self.where}: answers {path} without JSON") from error
        return document if isinstance(document, dict) else {}

    def pages(self, path: str, body: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
        """The entries of all pages of a search."""
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            page = self.json(path, {**body, "max_results": _PAGE, **more})
            yield from page.get(key, [])
            token = page.get("next_page_token", "")
            if not token:
                return


def _login() -> tuple[str | None, str | None]:
    """User and password, each from its variable or else from MLflow's own file."""
    file = configparser.ConfigParser()
    try:
        file.read(Path("~/.mlflow/credentials").expanduser())
    except configparser.Error as error:
        said = " ".join(str(error).split())
        raise TrackingError(f"~/.mlflow/credentials: cannot be read: {said}") from error
    kept: Mapping[str, str] = dict(file).get("mlflow") or {}
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or kept.get("mlflow_tracking_username")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or kept.get("mlflow_tracking_password")
    return user, password
