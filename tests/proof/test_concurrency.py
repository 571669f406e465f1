"""R13: a ticket is good once, however many come with it at once, and to whichever worker."""

from __future__ import annotations

import secrets
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import httpx
from django.contrib.auth.models import User
from redis import Redis

from tests.conftest import PASSWORD
from tests.served import Served, served
from tests.servers import until

WORKERS = 4
RACERS = 100


class Answer(NamedTuple):
    """To one handshake of many."""

    status: int
    worker: int


def race(port: int, ticket: str, racers: int = RACERS) -> list[Answer]:
    """Handshakes with one ticket: all are connected before the first asks, and have asked before an answer is read."""
    request = (
        f"GET /ws/echo/?ticket_uuid={ticket} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(racers)]
        for each in sockets:
            each.sendall(request)
        return [_answer(each) for each in sockets]


def _answer(connection: socket.socket) -> Answer:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        assert chunk, f"no answer: {received!r}"
        received += chunk
    status_line, *lines = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(status_line.split()[1]), int(headers["x-worker"]))


@contextmanager
def workers(application: str) -> Iterator[Served]:
    """As many as there should be, all of them at work."""
    # A hundred at once on a busy machine may take longer than a handshake is given.
    patience = "15"
    with served(
        "-m", "tests.workers", application,
        WEB_CONCURRENCY=str(WORKERS), REDIS_DEADLINE=patience, DATABASE_DEADLINE=patience,
    ) as running:  # fmt: skip
        seen: set[int] = set()

        def all_at_work() -> bool:
            seen.update(answer.worker for answer in race(running.port, "", 8))
            return len(seen) == WORKERS

        until(all_at_work, 60)
        yield running


class TestR13:
    """Once under concurrency."""

    def test_of_100_handshakes_with_one_ticket_one_is_let_in_200_times(self, owner: User) -> None:
        with workers("service") as running, httpx.Client(base_url=f"http://127.0.0.1:{running.port}") as http:
            pair = http.post("/api/token/", json={"username": owner.username, "password": PASSWORD}).json()
            bearer = {"Authorization": f"Bearer {pair['access']}"}
            races = [
                race(running.port, http.post("/api/tickets/", headers=bearer).json()["ticket_uuid"]) for _ in range(200)
            ]
        assert [Counter(answer.status for answer in answers) for answers in races] == [{101: 1, 401: RACERS - 1}] * 200
        winners = {answer.worker for answers in races for answer in answers if answer.status == 101}
        assert len(winners) == WORKERS

    def test_get_and_delete_lets_several_in(self, valkey: Redis) -> None:
        """The twin."""
        admitted = []
        with workers("naive") as running:
            for _ in range(10):
                ticket = secrets.token_hex(16)
                valkey.set(ticket, "owner", ex=30)
                admitted.append([answer.status for answer in race(running.port, ticket)].count(101))
        assert max(admitted) > 1
