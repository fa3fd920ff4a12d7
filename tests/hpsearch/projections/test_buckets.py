"""Artifacts in a bucket are written, read and checked as those in a folder."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from hpsearch.errors import TrackingAwayError, TrackingError
from hpsearch.projections import buckets
from tests.conftest import study
from tests.hpsearch.command_line import Call, Write, one_line
from tests.hpsearch.workspace import MLFLOWS_WARNINGS

pytestmark = MLFLOWS_WARNINGS

KEY = f"planted-{os.urandom(8).hex()}"
PLACE = "s3://studies/below"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server that speaks S3's protocol, with the bucket ``studies``."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of it, as MLflow's: what it needs to know stands in the environment."""
    for name, value in {
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="studies")
    return client


def kept(s3: Any) -> list[str]:
    """The names of the files in the bucket, without their runs."""
    objects = s3.list_objects_v2(Bucket="studies", Prefix="below/").get("Contents", [])
    return sorted(each["Key"].partition("/artifacts/")[2] for each in objects)


def test_study_moves_into_a_bucket(
    s3: Any, call: Call, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is copied, written there, run on and reproduced from there, and is the same study."""
    file = write(study(search__trials=2))
    assert call("run", file, "--workers", "1", "--no-tracking").code == 0
    digest = call("digest", "small").out
    home = tmp_path / "moved"
    assert call("copy", "--to", f"sqlite:///{home / 'studies.db'}").code == 0
    monkeypatch.setenv("HPSEARCH_HOME", str(home))
    monkeypatch.setenv("HPSEARCH_ARTIFACTS", f"{PLACE}/")
    said = [call("sync"), call("digest", "small")]
    assert said[-1].out == digest
    assert kept(s3).count("config.toml") == 2
    said.append(call("run", file, "--trials", "3", "--workers", "1"))
    said.append(call("verify", "small"))
    assert "every promise is kept" in said[-1].out
    assert {"config.toml", "study.toml", "weights.safetensors"} <= set(kept(s3))
    best = call("best", "small", "--json").json
    said.append(call("reproduce", "--run", best["mlflow_run_id"]))
    assert [each.code for each in said] == [0] * len(said), said
    assert not (home / "artifacts").exists()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if KEY.encode() in file.read_bytes()]
    assert KEY not in "".join(each.out + each.err for each in said)


def test_what_stands_in_a_bucket_is_read(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes as they are; nothing, where there is no such file; and what went wrong, on one line."""
    run = f"{PLACE}/run/artifacts"
    s3.put_object(Bucket="studies", Key="below/run/artifacts/file", Body=b"\0bytes")
    assert buckets.fetch(run, "file") == b"\0bytes"
    assert buckets.fetch(run, "none") is None
    with pytest.raises(TrackingError, match=r"^s3://none/run: .*bucket does not exist"):
        buckets.fetch("s3://none/run", "file")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(TrackingAwayError, match=r"^s3://.* Could not connect"):
        buckets.fetch(run, "file")


@pytest.mark.parametrize(
    "place", ["s3://", "s3:/b/f", "gs://bucket", "/folder", "s3://b?x=y", "s3://bucket/../other"]
)
def test_address_that_is_no_buckets(
    call: Call, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It is told before anything is done."""
    monkeypatch.setenv("HPSEARCH_ARTIFACTS", place)
    ended = call("status", "small")
    assert ended.code == 2
    assert "is not a bucket's address" in one_line(ended)


def test_password_in_the_address_is_refused_and_hidden(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand in each run in MLflow; boto3 finds it elsewhere."""
    monkeypatch.setenv("HPSEARCH_ARTIFACTS", f"s3://me:{KEY}@bucket/below")
    ended = call("run", "quick")
    assert ended.code == 2
    assert "s3://me:***@bucket/below is not a bucket's address" in one_line(ended)


def test_without_boto3(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named, where a bucket is asked for."""
    monkeypatch.setattr(buckets, "find_spec", lambda _: None)
    assert importlib.util.find_spec("boto3") is not None
    monkeypatch.setenv("HPSEARCH_ARTIFACTS", PLACE)
    ended = call("run", "quick")
    assert ended.code == 2
    assert one_line(ended) == (
        f"hpsearch: HPSEARCH_ARTIFACTS: {PLACE} needs boto3, which is not installed; run: "
        f"pip install 'hpsearch[s3]'"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")  # whose affair it is then
    assert "no study store yet" in one_line(call("status", "small"))
