"""Servers in processes of their own: the service as it is started in production, the naive way, and PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tests import served
from tests.conftest import PASSWORD
from tests.servers import Link, Proxy, free_port, until

ROOT = Path(__file__).resolve().parents[1]

_SET_UP = f"""
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
User.objects.create_user("owner", password={PASSWORD!r})
"""


def listens(port: int) -> bool:
    """Whether somebody takes connections there; raises where nobody does, as `until` knows it."""
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return True


class Process:
    """A server of this checkout that listens on `port`; what it says is in a file.

    Args:
        arguments: Of Python.
        environment: Beside an operator's.
    """

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ticketauth-process-")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self._environment = served.environment(PORT=str(self.port), **environment)
        self._log = self.folder / "log"
        self._arguments = [argument.replace("PORT", str(self.port)) for argument in arguments]

    def run(self, *arguments: str) -> None:
        """Python, to its end, in the same environment."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @property
    def environment(self) -> dict[str, str]:
        """For another process that is to see the same."""
        return dict(self._environment)

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            command = [sys.executable, *self._arguments]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        try:
            until(self._listens, 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log()
        return listens(self.port)


class ServiceProcess(Process):
    """The service by its production launcher, with a user called `owner`; in SQLite where no database is named."""

    def __init__(self, **environment: str) -> None:
        super().__init__(
            "-m",
            "config.serve",
            **{
                "DJANGO_SETTINGS_MODULE": "config.settings",
                "LOG_FORMAT": "json",
                "ACCESS_TOKEN_LIFETIME": "3600",
                **environment,
            },
        )
        self.database = self.folder / "database" / "db.sqlite3"
        self.database.parent.mkdir()
        self.database_url = environment.get("DATABASE_URL", f"sqlite:///{self.database}")
        self._environment["DATABASE_URL"] = self.database_url

    def __enter__(self) -> Self:
        self.run("-c", _SET_UP)
        return super().__enter__()

    @contextlib.contextmanager
    def logged(self) -> Iterator[list[dict[str, Any]]]:
        """The lines that it logs meanwhile; complete at the end."""
        before, lines = len(self.log()), list[dict[str, Any]]()
        yield lines
        lines += [json.loads(line) for line in self.log()[before:].splitlines()]


class NaiveProcess(Process):
    """The twin, see `tests/naive.py`."""

    def __init__(self, **environment: str) -> None:
        server = ("-m", "uvicorn", "tests.naive:application", "--port", "PORT", "--lifespan", "off")
        super().__init__(*server, **environment)

    def __exit__(self, *exc: object) -> None:
        # It may be frozen.
        self._process.kill()
        super().__exit__()


class Gate(Proxy):
    """Stands in front of a server. Shut, it is a network that swallows: connections are made, and nothing comes back.

    What was said meanwhile arrives when it opens, as after a `SIGCONT`; unless it was told to forget, as a firewall
    does that has lost its state: then the connections of that time stay silent for ever.
    """

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._of: dict[Link, asyncio.Event] = {}
        return await super().__aenter__()

    @contextlib.contextmanager
    def shut(self, *, forget: bool = False) -> Iterator[None]:
        self._loop.call_soon_threadsafe(self._open.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._replace if forget else self._open.set)

    def _replace(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    async def _reply(self, link: Link, chunk: bytes) -> bytes:
        await self._of.setdefault(link, self._open).wait()
        return chunk


def postgres_programs() -> Path | None:
    """Where PostgreSQL is installed: in the path, or where Debian puts it."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return debian[-1].parent if debian else None


class Postgres:
    """A PostgreSQL of the test's own, with nothing but a superuser called `ticketauth`. It can be killed and started.

    It refuses to run as root, so there it runs as `nobody`.
    """

    def __init__(self, programs: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ticketauth-postgres-")
        self._programs = programs
        self._data = Path(self._folder.name) / "data"
        self._as: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder.name, nobody.pw_uid, nobody.pw_gid)

    def url(self, port: int) -> str:
        """As `DATABASE_URL` has it, at a port of its own or a proxy's."""
        return f"postgres://ticketauth@127.0.0.1:{port}/postgres"

    def start(self) -> None:
        """Start, and wait until it serves."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with Path(self._folder.name, "log").open("ab") as log:
            self._process = self._popen("postgres", "-D", str(self._data), *settings, stdout=log, stderr=log)
        until(self._serves, 60)

    def kill(self) -> None:
        """Gone at once; it recovers from its journal at the next start."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
            self._process = None

    @contextlib.contextmanager
    def killed(self) -> Iterator[None]:
        self.kill()
        try:
            yield
        finally:
            self.start()

    def __enter__(self) -> Self:
        initdb = self._popen(
            "initdb", "-D", str(self._data), "-A", "trust", "-U", "ticketauth", "--no-locale", "-E", "UTF8", "-N",
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        _, errors = initdb.communicate()
        assert initdb.returncode == 0, errors.decode()
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self._folder.cleanup()

    def _popen(self, program: str, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        command = [str(self._programs / program), *arguments]
        return subprocess.Popen(command, cwd=self._folder.name, **self._as, **streams)

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, Path(self._folder.name, "log").read_text()
        ready = self._popen("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
        return ready.wait() == 0
