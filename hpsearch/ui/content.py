"""Does a request bear what its rule allows, and nothing else?

What is passed on is written anew from what was read here, so that MLflow cannot read it otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hpsearch.ui.allowed import Bears, Rule, folder
from hpsearch.ui.http import JSON, Answer, refusal

LARGEST = 2 << 20
"""Bytes of a JSON body; MLflow's own limit for a batch is one million."""

ROOTS = {
    "mlflowGetExperiment",
    "mlflowGetRun",
    "mlflowGetMetricHistoryBulkInterval",
    "mlflowSearchRuns",
    "__typename",
}
"""What a GraphQL query may ask for. Not artifacts: those have a rule of their own."""

_DEEPEST = 2000
"""Braces and brackets of a GraphQL query; MLflow's own have about 50."""

Names = dict[str, list[str]]


def query(rule: Rule, text: str) -> Names | Answer:
    """The names of a query with their values, or a refusal."""
    found: Names = {}
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=1000,
        )
    except ValueError:
        return refusal(400, "the query cannot be read")
    allowed = rule.names if rule.bears is Bears.QUERY else frozenset()
    for name, value in pairs:
        if name not in allowed:
            return refusal(404, f"{name!r} is not served here")
        found.setdefault(name, []).append(value)
    return found


def written(names: Names) -> str:
    """A query, written anew."""
    return urlencode(names, doseq=True)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A run's artifact, as a request names it."""

    run: str
    path: str
    """Below the run's folder; empty for the folder itself."""
    experiment: str | None = None
    """Named where a place is named, and not only a run."""


def artifact(parts: Mapping[str, str | None], names: Names) -> Artifact | Answer:
    """Which artifact a request is about: named by its path, by its query, or by a path in that."""
    runs = names.get("run_id", []) + names.get("run_uuid", [])
    paths = names.get("path", [""])
    if len(runs) <= 1 == len(paths):
        if parts.get("run"):
            return Artifact(parts["run"] or "", parts["file"] or "", parts["experiment"])
        if runs:
            return Artifact(runs[0], paths[0])
        if found := folder(paths[0]):
            return Artifact(found["run"] or "", found["file"] or "", found["experiment"])
    return refusal(404, "this names no run's artifact")


def body(rule: Rule, content: bytes, kind: str | None) -> bytes | Answer:
    """A JSON body, written anew, or a refusal.

    Args:
        rule: What it may name.
        content: The body.
        kind: Its content type.
    """
    if (kind or "").partition(";")[0].strip().lower() != JSON:
        return refusal(400, f"the body has to be {JSON}")
    try:
        document = json.loads(content)
        anew = json.dumps(document).encode()
    except (ValueError, RecursionError):
        return refusal(400, "the body is no JSON")
    if not isinstance(document, dict):
        return refusal(400, "the body is no JSON object")
    foreign = document.keys() - rule.names
    if foreign:
        return refusal(404, f"{min(foreign)!r} is not served here")
    if rule.bears is Bears.GRAPHQL and (why := _not_a_query(document)):
        return refusal(404, why)
    return anew


def _not_a_query(document: dict[str, Any]) -> str | None:
    """Why a GraphQL document does not pass; None if it does."""
    from graphql import FieldNode, GraphQLError, OperationDefinitionNode, parse
    from graphql.language import FragmentDefinitionNode, OperationType

    text = document.get("query")
    if not isinstance(text, str) or sum(map(text.count, "{([")) > _DEEPEST:
        return "this is no GraphQL query"
    try:
        definitions = parse(text, no_location=True, max_tokens=5000).definitions
    except (GraphQLError, RecursionError):
        return "this is no GraphQL query"
    operations = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
    others = [d for d in definitions if not isinstance(d, OperationDefinitionNode)]
    if not all(isinstance(other, FragmentDefinitionNode) for other in others):
        return "only a GraphQL query is served here"
    for operation in operations:
        if operation.operation is not OperationType.QUERY:
            return "only a GraphQL query is served here"
        for asked in operation.selection_set.selections:
            if not isinstance(asked, FieldNode) or asked.name.value not in ROOTS:
                return "this GraphQL field is not served here"
    return None
