"""Many idle sockets on one worker: none is closed, and a logout ends those of its login alone."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from dataclasses import dataclass

from tests.bench.__main__ import tokens_of
from tests.bench.load import CLIENTS, SETTLE, Clients
from tests.bench.processes import Process, Surroundings
from tests.bench.targets import TARGETS
from tests.bench.wire import Http, Socket, request

USERS = 50
END_SECONDS = 3
"""REVOCATION_POLL and one more."""


@dataclass(frozen=True)
class Crowd:
    """What became of so many sockets.

    Attributes:
        opened: How many there were.
        seconds: For how long they did nothing but answer pings.
        closed: How many were closed meanwhile.
        kib: By how much each of them made the worker grow.
        ended: Close codes after a logout of one of the logins, and how often.
        expected: How many sockets that login had.
    """

    opened: int
    seconds: float
    closed: int
    kib: float
    ended: Counter[int]
    expected: int

    @property
    def broken(self) -> bool:
        """Whether a promise of ours was broken."""
        return self.closed > 0 or self.ended != Counter({4403: self.expected})

    def __str__(self) -> str:
        ended = ", ".join(f"{count} by {code}" for code, count in self.ended.items()) or "none"
        return (
            f"{self.opened} idle sockets on one worker for {self.seconds:.0f} s: {self.closed} closed, "
            f"{self.kib:.1f} KiB each; after a logout of a login with {self.expected} of them: {ended}"
        )


async def idle(count: int, seconds: float) -> Crowd:
    """Open them on `/ws/events/`, wait, and log one login out.

    Args:
        count: A multiple of `USERS`.
        seconds: To wait.
    """
    with Surroundings(users=USERS, peers="lean", database_url="") as shared:
        process = shared.start(TARGETS["events"])
        try:
            return await _crowd(process, shared, count, seconds)
        finally:
            process.stop()


async def _crowd(process: Process, shared: Surroundings, count: int, seconds: float) -> Crowd:
    tokens = await tokens_of(TARGETS["events"], process, shared.seeded)
    clients = Clients(TARGETS["events"], process, tokens)
    for credential in await clients.credentials(10 * CLIENTS):
        await clients.handshake(credential)
    await asyncio.sleep(SETTLE)
    before = process.memory()
    sockets = await _opened(clients, count)
    await asyncio.sleep(SETTLE)
    kib = (process.memory() - before) / count / 1024
    await asyncio.sleep(seconds)
    closed = sum(not socket.is_open for socket in sockets)
    owned = await _log_out(process.port, tokens[0], sockets)
    ended = Counter(socket.closed.result() for socket in sockets if socket.closed.done())
    for socket in sockets:
        socket.transport.close()
    return Crowd(count, seconds, closed, kib, ended, owned)


async def _opened(clients: Clients, count: int) -> list[Socket]:
    sockets: list[Socket] = []
    while len(sockets) < count:
        credentials = await clients.credentials(min(CLIENTS, count - len(sockets)))
        opened = await asyncio.gather(*(clients.open(credential) for credential in credentials))
        for socket in opened:
            if socket.status.result() != 101 or b"ticketauth.ready" not in await socket.text:
                raise RuntimeError(f"a socket did not open: {socket.status.result()}")
        sockets += opened
    return sockets


async def _log_out(port: int, token: str, sockets: list[Socket]) -> int:
    """End a login. Returns how many sockets it had, by their first frames."""
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    http = await Http.connect(port)
    ends = request("DELETE", f"/api/sessions/{claims['sid']}/", f"Authorization: Bearer {token}")
    status, body = await http.ask(ends)
    http.close()
    if status != 204:
        raise RuntimeError(f"the login was not ended: {status} {body!r}")
    owned = [socket for socket in sockets if json.loads(socket.text.result())["user"]["id"] == str(claims["user_id"])]
    await asyncio.wait([socket.closed for socket in owned], timeout=END_SECONDS)
    return len(owned)
