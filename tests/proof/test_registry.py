"""The registry of live sockets on two workers: it survives the death of Redis and of a worker, and limits hold."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PASSWORD, Service
from tests.processes import ServiceProcess
from tests.servers import Node, until
from tests.sockets import CLOSE, Handshake
from ticketauth.registry import LEASE

LIMIT = 20
POLL = 0.5


@pytest.fixture(scope="module")
def process(node: Node) -> Iterator[ServiceProcess]:
    """Two workers."""
    settings = {"WEB_CONCURRENCY": "2", "SOCKETS_PER_USER": str(LIMIT), "REVOCATION_POLL": str(POLL)}
    with ServiceProcess(REDIS_URL=node.url, **settings) as process:
        yield process


@pytest.fixture
def service(process: ServiceProcess) -> Iterator[Service]:
    with Service(process.port) as service:
        yield service


@pytest.fixture
def access(service: Service) -> str:
    """The owner's access token, as soon as the sockets of the test before are gone."""
    answer = service.post("/api/token/", {"username": "owner", "password": PASSWORD})
    access: str = answer.json()["access"]
    until(lambda: _listed(service, access) == set(), LEASE + 5)
    return access


def _listed(service: Service, access: str) -> set[str]:
    # None that is kept: it may lead to the worker that was killed.
    headers = {"Authorization": f"Bearer {access}", "Connection": "close"}
    answer = service.http.get("/api/connections/", headers=headers)
    assert answer.status_code == 200, answer.text
    return {told["connection_id"] for told in answer.json()}


def _open(service: Service, access: str) -> str:
    """A socket's id."""
    ready: dict[str, Any] = service.connect(f"ticket_uuid={service.ticket(access)}", "/ws/events/").json()
    return str(ready["connection_id"])


def _lives(socket: Handshake) -> bool:
    """An answer comes back."""
    with contextlib.suppress(OSError, EOFError):
        socket.send('{"type": "ping", "id": "alive?"}')
        return socket.frame()[0] != CLOSE
    return False


def _workers(process: ServiceProcess) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text(encoding="ascii").split()]


def test_those_of_both_workers_are_listed(service: Service, access: str) -> None:
    opened = {_open(service, access) for _ in range(LIMIT)}
    until(lambda: _listed(service, access) == opened)


def test_any_worker_ends_those_of_any(service: Service, access: str) -> None:
    opened = {_open(service, access) for _ in range(LIMIT)}
    until(lambda: _listed(service, access) == opened)
    for connection_id in opened:
        answer = service.http.delete(
            f"/api/connections/{connection_id}/", headers={"Authorization": f"Bearer {access}"}
        )
        assert answer.status_code == 204
    began = time.monotonic()
    assert [socket.close_code()[0] for socket in service.sockets] == [4403] * LIMIT
    assert time.monotonic() - began < POLL + 1


def test_the_limit_is_exact_under_concurrency(service: Service, access: str) -> None:
    """Each worker alone would let in as many as there may be on both."""
    tickets = [service.ticket(access) for _ in range(2 * LIMIT)]
    with ThreadPoolExecutor(2 * LIMIT) as pool:
        answers = list(pool.map(lambda ticket: service.connect(f"ticket_uuid={ticket}", "/ws/events/"), tickets))
    accepted = [answer for answer in answers if answer.accepted]
    assert {answer.status for answer in answers if not answer.accepted} <= {429}
    codes: dict[int, int] = {}

    def left() -> list[Handshake]:
        for number, socket in enumerate(accepted):
            if number not in codes and (code := _close_code(socket)):
                codes[number] = code
        return [socket for number, socket in enumerate(accepted) if number not in codes]

    until(lambda: len(left()) <= LIMIT, POLL + 1)
    until(lambda: len(_listed(service, access)) == LIMIT)
    assert len(left()) == LIMIT
    assert set(codes.values()) <= {4429}


def _close_code(socket: Handshake) -> int:
    """0 where it is open: an answer to a ping comes back."""
    with contextlib.suppress(OSError):
        socket.send('{"type": "ping", "id": "open?"}')
    while True:
        opcode, payload = socket.frame()
        if opcode == CLOSE:
            return int.from_bytes(payload[:2], "big")
        if b'"pong"' in payload:
            return 0


def test_redis_is_restarted_empty(service: Service, access: str, node: Node) -> None:
    # On the path that needs no channel layer, whose connections do not survive it.
    assert all(service.connect(f"ticket_uuid={service.ticket(access)}").accepted for _ in range(LIMIT))
    until(lambda: len(_listed(service, access)) == LIMIT)
    opened = _listed(service, access)
    node.kill()
    try:
        answer = service.http.get("/api/connections/", headers={"Authorization": f"Bearer {access}"})
        assert answer.status_code == 503
        assert all(_lives(socket) for socket in service.sockets)
    finally:
        node.start()
    # Not all of them in one moment: each worker writes its own.
    until(lambda: _listed(service, access) == opened)
    assert all(_lives(socket) for socket in service.sockets)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Without /proc nobody says who the workers are.")
def test_a_worker_is_killed(service: Service, access: str, process: ServiceProcess) -> None:
    """Its sockets are gone with its lease, and their places are free; nobody else loses anything."""
    opened = {_open(service, access) for _ in range(LIMIT)}
    until(lambda: _listed(service, access) == opened)
    os.kill(max(_workers(process)), signal.SIGKILL)
    began = time.monotonic()
    until(lambda: not all(_lives(socket) for socket in service.sockets))
    left = [socket for socket in service.sockets if _lives(socket)]
    assert len(left) < LIMIT
    until(lambda: len(_listed(service, access)) == len(left), LEASE + 5)
    assert time.monotonic() - began < LEASE + 1
    assert _listed(service, access) < opened
    for _ in range(LIMIT - len(left)):
        _open(service, access)
    until(lambda: len(_listed(service, access)) == LIMIT)
    assert all(_lives(socket) for socket in left)
