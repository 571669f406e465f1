"""The service in processes of its own, as an operator starts it, and what it writes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.conf import settings as django_settings
from django.db import connection

from tests.servers import free_port, until
from tests.sockets import handshake

ROOT = Path(__file__).resolve().parents[1]

# Not the variables of a coverage run, under which four workers on two cores take twice their time.
_OWN_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def environment(**more: str) -> dict[str, str]:
    """An operator's: production, with the database, the Valkey and the keys of the tests, and no limit on rates."""
    return {
        **{name: os.environ[name] for name in _OWN_VARIABLES if name in os.environ},
        "DJANGO_SETTINGS_MODULE": "tests.served_settings",
        "SECRET_KEY": django_settings.SECRET_KEY,
        "JWT_SIGNING_KEY": django_settings.JWT_SIGNING_KEY,
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "REDIS_URL": django_settings.REDIS_URL,
        "ALLOWED_ORIGINS": ",".join(django_settings.ALLOWED_ORIGINS),
        "PUBLIC_URL": django_settings.PUBLIC_URL,
        "ALLOWED_HOSTS": "*",
        "TRUSTED_PROXIES": "127.0.0.1",
        **dict.fromkeys(("LOGIN_RATE", "CLOSE_RATE", "RATE_PER_USER", "RATE_PER_ADDRESS"), "0"),
        **more,
    }


@dataclass
class Served:
    """A running server, and all that it wrote to its standard output and error."""

    port: int
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def written(self) -> list[str]:
        """The lines so far, which end with LF and nothing else."""
        return Path(self.output.name).read_bytes().decode().split("\n")[:-1]

    def lines(self) -> list[str]:
        """The lines so far, and all that one worker has to say of what was asked before."""
        mark = secrets.token_hex(8)
        handshake(self.port, f"/{mark}").close()
        until(lambda: any(mark in line for line in self.written()))
        return [line for line in self.written() if mark not in line]

    def records(self) -> list[dict[str, Any]]:
        """The lines as JSON."""
        return [json.loads(line) for line in self.lines()]

    def stop(self) -> None:
        """End it, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@contextmanager
def served(*command: str, port: int = 0, **variables: str) -> Iterator[Served]:
    """A Python program that serves on PORT, as soon as it listens.

    Args:
        command: What follows `python`; the service's own launcher where nothing is given.
        port: Where it listens, where the command says so itself.
        variables: Of its environment.
    """
    port = port or free_port()
    own = environment(HOST="127.0.0.1", PORT=str(port), **variables)
    with tempfile.NamedTemporaryFile(prefix="ticketauth-log-") as output:
        process = subprocess.Popen(
            [sys.executable, *(command or ("-m", "config.serve"))],
            cwd=ROOT, env=own, stdout=output, stderr=output,
        )  # fmt: skip
        running = Served(port, process, output)
        try:
            _wait_until_it_listens(running)
            yield running
        finally:
            running.stop()


def _wait_until_it_listens(running: Served) -> None:
    until(lambda: _says_that_it_listens(running), 60)
    # Several workers announce themselves before they listen.
    until(lambda: socket.create_connection(("127.0.0.1", running.port), timeout=10), 60).close()


def _says_that_it_listens(running: Served) -> bool:
    # Before it says so, a port that answers may be the launcher's, which tries whether it is free.
    lines = running.written()
    assert running.process.poll() is None, "\n".join(lines)
    return any("Uvicorn running on" in line for line in lines)
