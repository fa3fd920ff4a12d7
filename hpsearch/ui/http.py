"""What is a request, and what an answer? Records between the wire and the rooms' questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request."""

    method: str
    path: str
    """Decoded once."""
    query: str
    """As it was sent."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in the order they came."""

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Request:
        """The request of an ASGI scope."""
        return cls(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in scope["headers"]
            ),
        )

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str | None:
        """A header's value; None if it is missing, or there twice."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered in MLflow's place."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, why: str, headers: Mapping[str, str] | None = None) -> Answer:
    """A refusal in the form of MLflow's own errors, which its client and its UI show."""
    codes = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "ENDPOINT_NOT_FOUND"}
    body = {"error_code": codes.get(status, "BAD_REQUEST"), "message": f"hpsearch ui: {why}"}
    return Answer(status, json.dumps(body), {"content-type": JSON, **(headers or {})})
