"""R36: the sockets of a login that is over are closed in time, whatever else goes wrong. Workers are processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PASSWORD, Service
from tests.processes import ServiceProcess
from tests.servers import Node
from tests.sockets import Handshake

POLL, GRACE = 2.0, 4.0

CEILING = POLL + 1.0
"""Seconds of a worker's running time that are promised."""

SOCKETS = 20


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with Node() as node:
        yield node


@pytest.fixture(scope="module")
def process(node: Node) -> Iterator[ServiceProcess]:
    """Two workers."""
    settings = {"WEB_CONCURRENCY": "2", "BLIND_GRACE": str(GRACE), "RATE_PER_USER": "0", "LOGIN_RATE": "0"}
    with ServiceProcess(REDIS_URL=node.url, **settings) as process:
        yield process


@pytest.fixture
def service(process: ServiceProcess) -> Iterator[Service]:
    service = Service(process.port)
    yield service
    service.close()


@pytest.fixture
def tokens(service: Service) -> dict[str, str]:
    answer = service.post("/api/token/", {"username": "owner", "password": PASSWORD})
    tokens: dict[str, str] = answer.json()
    return tokens


@pytest.fixture
def sockets(service: Service, tokens: dict[str, str]) -> list[Handshake]:
    """On both workers, as the kernel deals them out."""
    opened = [service.connect(f"ticket_uuid={service.ticket(tokens['access'])}") for _ in range(SOCKETS)]
    assert all(socket.accepted for socket in opened)
    return opened


def _closed(sockets: list[Handshake], within: float) -> set[int]:
    """Their close codes; the last within so many seconds."""
    began = time.monotonic()
    for socket in sockets:
        socket.connection.settimeout(within)
    codes = {socket.close_code()[0] for socket in sockets}
    assert time.monotonic() - began < within
    return codes


def test_nothing_goes_wrong(service: Service, tokens: dict[str, str], sockets: list[Handshake]) -> None:
    assert service.post("/api/token/logout/", {"refresh": tokens["refresh"]}).status_code == 204
    assert _closed(sockets, CEILING) == {4403}


def test_redis_is_dead(service: Service, node: Node, tokens: dict[str, str], sockets: list[Handshake]) -> None:
    node.kill()
    try:
        assert service.post("/api/token/logout/", {"refresh": tokens["refresh"]}).status_code == 204
        assert _closed(sockets, CEILING) == {4403}
    finally:
        node.start()


def _end_all_logins(process: ServiceProcess) -> None:
    """As another machine does."""
    with contextlib.closing(sqlite3.connect(process.database, timeout=30)) as database, database:
        database.execute("UPDATE ticketauth_login SET revoked_at = datetime('now')")


def _workers(process: ServiceProcess) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text(encoding="ascii").split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Without /proc nobody says who the workers are.")
def test_the_workers_are_frozen(process: ServiceProcess, sockets: list[Handshake]) -> None:
    """The time that they were frozen does not count."""
    frozen = [process.pid, *_workers(process)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    _end_all_logins(process)
    time.sleep(3)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    assert _closed(sockets, CEILING) == {4403}


def test_the_database_cannot_be_asked(process: ServiceProcess, sockets: list[Handshake]) -> None:
    """Then nobody knows who is still allowed, and after `BLIND_GRACE` nobody is."""
    began = time.monotonic()
    with contextlib.closing(sqlite3.connect(process.database, isolation_level=None, timeout=30)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        assert _closed(sockets, GRACE + 2 * POLL + 3) == {1013}
        assert time.monotonic() - began > GRACE - POLL
        holder.execute("ROLLBACK")
