"""ASGI servers as a user starts them: each by its own command line, in a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from django.conf import settings as django_settings
from django.db import connection

from tests.servers import free_port, until

ROOT = Path(__file__).resolve().parents[1]

_UVICORN = "uvicorn {app} --host 127.0.0.1 --port {port} --ws-max-size 65536 --ws"
COMMANDS: Mapping[str, str] = {
    "uvicorn, websockets-sansio": f"{_UVICORN} websockets-sansio",
    "uvicorn, websockets": f"{_UVICORN} websockets",
    "uvicorn, wsproto": f"{_UVICORN} wsproto",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} {app}",
    "granian": "granian --interface asgi --host 127.0.0.1 --port {port} {app}",
    "daphne": "daphne --bind 127.0.0.1 --port {port} {app}",
}
"""What comes after `python -m`."""

# Not those of a coverage run, which slow a server down.
_OWN_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
WEBSOCKETS_LIMITS = {"WEBSOCKETS_MAX_LINE_LENGTH": "131072", "WEBSOCKETS_MAX_NUM_HEADERS": "256"}


def service_environment(redis_url: str, **more: str) -> dict[str, str]:
    """The service's: the database and the keys of the tests, and no limit on rates."""
    return {
        **_environment(redis_url),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "ALLOWED_ORIGINS": ",".join(django_settings.ALLOWED_ORIGINS),
        "PUBLIC_URL": django_settings.PUBLIC_URL,
        "ALLOWED_HOSTS": "*",
        **dict.fromkeys(("LOGIN_RATE", "CLOSE_RATE", "RATE_PER_USER", "RATE_PER_ADDRESS"), "0"),
        **more,
    }


def project_environment(redis_url: str, **more: str) -> dict[str, str]:
    """That of `tests.project`, with the same database and keys."""
    return {
        **_environment(redis_url),
        "DJANGO_SETTINGS_MODULE": "tests.project.settings",
        "DATABASE": connection.settings_dict["NAME"],
        **more,
    }


def _environment(redis_url: str) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in _OWN_VARIABLES if name in os.environ},
        **WEBSOCKETS_LIMITS,
        "SECRET_KEY": django_settings.SECRET_KEY,
        "JWT_SIGNING_KEY": django_settings.JWT_SIGNING_KEY,
        "REDIS_URL": redis_url,
    }


@contextlib.contextmanager
def serving(command: str, app: str, environment: Mapping[str, str]) -> Iterator[int]:
    """The port of a server, as soon as it listens.

    Args:
        command: After `python -m`, with places for `port` and `app`.
        app: As `module:attribute`.
        environment: Of the process.
    """
    port = free_port()
    arguments = [sys.executable, "-m", *command.format(port=port, app=app).split()]
    with tempfile.NamedTemporaryFile(prefix="ticketauth-log-") as log:
        process = subprocess.Popen(
            arguments, cwd=ROOT, env={**environment, "PORT": str(port)}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            until(lambda: _listens(process, port) or process.poll() is not None, 60)
            assert process.poll() is None, Path(log.name).read_text()
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    return process.poll() is None
