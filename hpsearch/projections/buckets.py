"""How are artifacts kept in a bucket, in S3 or what speaks its protocol?

All is MLflow's: its own store of artifacts writes and reads them, by ``boto3``, which finds the
credentials where it always does and keeps them to itself. ``MLFLOW_S3_ENDPOINT_URL`` names what is
not Amazon's.
"""

from __future__ import annotations

import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hpsearch.errors import UsageError
from hpsearch.projections import mlflow_errors
from hpsearch.projections.mlflow_client import quiet
from hpsearch.redact import address
from hpsearch.settings import Settings
from hpsearch.text import short

_ADDRESS = re.compile(r"s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/[\w=+-][\w.=+-]*)*", re.ASCII)


def check(settings: Settings) -> None:
    """Refuse a bucket that cannot be used from here. A server of MLflow's has its own.

    Raises:
        UsageError: If it is no bucket's address, or boto3 is missing.
    """
    place = settings.bucket
    if place is None or settings.tracking_uri.startswith(("http://", "https://")):
        return
    if not _ADDRESS.fullmatch(place):
        raise UsageError(
            f"HPSEARCH_ARTIFACTS: {short(address(place), 200)} is not a bucket's address; it must "
            f"be s3://BUCKET or s3://BUCKET/FOLDER, without a user or a password"
        )
    if find_spec("boto3") is None:
        raise UsageError(
            f"HPSEARCH_ARTIFACTS: {short(place, 200)} needs boto3, which is not installed; run: "
            f"pip install 'hpsearch[s3]'"
        )


def fetch(uri: str, path: str) -> bytes | None:
    """A file of a run whose artifacts are in a bucket; None if there is none.

    Args:
        uri: The run's artifacts.
        path: The file's name, directly below them.

    Raises:
        TrackingError: If the bucket cannot be read.
    """
    quiet()
    try:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        bucket: Any = get_artifact_repository(uri)
        if all(each.path != path for each in bucket.list_artifacts()):
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(bucket.download_artifacts(path, folder)).read_bytes()
    except Exception as error:
        said = mlflow_errors.said(error, uri)
        raise mlflow_errors.kind(error)(f"{address(uri)}: {said}") from error
