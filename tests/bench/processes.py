"""The servers: a Valkey, a database, and a process for each target, alone on its core."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from config import keys
from tests.bench.targets import Target
from tests.servers import Node, free_port

ROOT = Path(__file__).resolve().parents[2]
_TICK = os.sysconf("SC_CLK_TCK")
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH")
_OUT_OF_REACH = "100000000/min"


class Process:
    """A server, pinned to a core, and what it costs."""

    def __init__(self, command: list[str], environment: dict[str, str], core: int, log: Path) -> None:
        self.port = int(environment["PORT"])
        self._log = log
        with _on(core), log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """Seconds of processor time so far, of the process and its children."""
        return sum(self._stat(pid) for pid in _tree(self._process.pid))

    def memory(self) -> int:
        """Bytes resident, of the process and its children."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in _tree(self._process.pid))

    def forget_log(self) -> None:
        """What was written so far has cost what it costs; it need not fill the disk."""
        os.truncate(self._log, 0)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _stat(self, pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def _wait(self) -> None:
        ends = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            if self._process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"a target does not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.05)


class Surroundings:
    """What all targets share. Everything but a database that was given is made here, and goes at the end.

    The first core is for the targets; this process and Valkey are on the last.

    Attributes:
        database: Which it is, with its version.
        seeded: `logins`, `sessions` and simplejwt's `tokens` of the users.
    """

    def __init__(self, *, users: int, peers: str, database_url: str) -> None:
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            sys.exit("Two cores are needed: one for the server, one for the load.")
        self._server = cores[0]
        self._peers = peers
        with contextlib.ExitStack() as cleanup:
            cleanup.enter_context(_on(cores[-1]))
            self._folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="ticketauth-bench-")))
            self.valkey = cleanup.enter_context(Node())
            self._environment = self._shared(database_url or f"sqlite:///{self._folder / 'db.sqlite3'}")
            self.seeded = self._seed(users)
            self._cleanup = cleanup.pop_all()

    def start(self, target: Target) -> Process:
        """A process of the target."""
        port = free_port()
        environment = {**self._environment, "PORT": str(port)}
        log = self._folder / f"{target.name}-{port}.log"
        if not target.application:
            return Process(["config.serve"], environment, self._server, log)
        command = ["uvicorn", target.application, "--port", str(port)]
        command += ["--ws", "websockets-sansio", "--lifespan", "off", "--no-proxy-headers", "--no-server-header"]
        if self._peers == "lean":
            command += ["--no-access-log", "--log-level", "critical"]
        environment["DJANGO_SETTINGS_MODULE"] = "tests.bench.peers.settings"
        return Process(command, environment, self._server, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._cleanup.close()

    def _shared(self, database_url: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SECRET_KEY": keys.new(),
            "JWT_SIGNING_KEY": keys.new(),
            "DATABASE_URL": database_url,
            "REDIS_URL": self.valkey.url,
            "PUBLIC_URL": "https://tickets.example.com",
            # The code of the limits runs; nobody gets there, also where the machine has other things to do.
            "RATE_PER_USER": _OUT_OF_REACH,
            "RATE_PER_ADDRESS": _OUT_OF_REACH,
            "LOGIN_RATE": _OUT_OF_REACH,
            "REDIS_DEADLINE": "30",
            "DATABASE_DEADLINE": "30",
            "ACCESS_TOKEN_LIFETIME": "86400",
            "TICKET_TTL": "60",
            "PEERS": self._peers,
        }

    def _seed(self, users: int) -> dict[str, list[str]]:
        command = [sys.executable, "-m", "tests.bench.seed", str(users)]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the database cannot be filled:\n{done.stderr[-3000:]}")
        seeded: dict[str, Any] = json.loads(done.stdout)
        self.database = seeded.pop("database")
        return seeded


@contextlib.contextmanager
def _on(core: int) -> Iterator[None]:
    """What is started meanwhile is pinned to the core."""
    here = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, here)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        # Threads come and go.
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += _tree(int(child))
    return found
