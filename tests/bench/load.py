"""The load: sixteen clients at a time, the operations that they do, and what that took."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import statistics
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from tests.bench.processes import Process
from tests.bench.targets import Scenario, Target
from tests.bench.wire import Http, Socket, request, upgrade

CLIENTS = 16
OPERATIONS_PER_SECOND = 1000
"""Handshakes are counted, not timed: so many tickets are issued before, for every second of a measurement."""
SETTLE = 0.5
"""Seconds after which a server's memory is read."""

Operation = Callable[[Http], Awaitable[bool]]


@dataclass(frozen=True)
class Sample:
    """What one scenario took in one round.

    Attributes:
        rate: Operations per second.
        cpu: Microseconds of the server's processor per operation.
        p50: Milliseconds of an operation, in the middle.
        p99: Milliseconds that one in a hundred exceeds.
        errors: Operations that did not end as they should.
        load: The generator's part of its core.
    """

    target: str
    scenario: Scenario
    rate: float
    cpu: float
    p50: float
    p99: float
    errors: int
    load: float


@dataclass
class Meter:
    """Measures what is done inside of it."""

    process: Process
    latencies: list[float] = field(default_factory=list)
    errors: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Now."""
        began, server, generator = time.perf_counter(), self.process.cpu(), time.process_time()
        yield
        self.seconds = time.perf_counter() - began
        self.server = self.process.cpu() - server
        self.generator = time.process_time() - generator

    def sample(self, target: Target, scenario: Scenario) -> Sample:
        """The result."""
        done = len(self.latencies)
        if done < 2:
            raise RuntimeError(f"{target.name}, {scenario}: {self.errors} errors, and nothing else")
        centiles = statistics.quantiles(self.latencies, n=100, method="inclusive")
        return Sample(
            target=target.name,
            scenario=scenario,
            rate=round(done / self.seconds, 1),
            cpu=round(self.server / done * 1e6, 1),
            p50=round(centiles[49] * 1e3, 2),
            p99=round(centiles[98] * 1e3, 2),
            errors=self.errors,
            load=round(self.generator / self.seconds, 3),
        )


class Clients:
    """Those of one target, who know how to speak to it.

    Args:
        target: Whom they speak to.
        process: Where that is.
        tokens: Access tokens, or session keys where the handshake carries a cookie.
    """

    def __init__(self, target: Target, process: Process, tokens: list[str]) -> None:
        self.target = target
        self.process = process
        self._tokens = itertools.cycle(tokens)
        self._requests = itertools.cycle(
            [request(target.method, target.issue, f"Authorization: Bearer {token}") for token in tokens]
        )

    async def measure(self, scenario: Scenario, seconds: float) -> Sample:
        """One scenario, for about so long."""
        ready: deque[str] = deque()
        if scenario == "handshake":
            ready.extend(await self.credentials(max(2, round(OPERATIONS_PER_SECOND * seconds))))
        operations: dict[Scenario, Operation] = {
            "issue": self._issue,
            "handshake": lambda _: self.handshake(ready.popleft()),
            "refusal": lambda _: self._is_refused(self.bad()),
            "cycle": self._cycle,
        }
        meter = Meter(self.process)
        ends = time.perf_counter() + seconds
        more = (lambda: bool(ready)) if scenario == "handshake" else (lambda: time.perf_counter() < ends)
        async with asyncio.timeout(60 + 20 * seconds):
            with meter.running():
                await self._all(operations[scenario], more, meter)
        return meter.sample(self.target, scenario)

    async def _all(self, operation: Operation, more: Callable[[], bool], meter: Meter) -> None:
        async def one() -> None:
            http = await Http.connect(self.process.port)
            while more():
                began = time.perf_counter()
                if await operation(http):
                    meter.latencies.append(time.perf_counter() - began)
                else:
                    meter.errors += 1
            http.close()

        await asyncio.gather(*(one() for _ in range(CLIENTS)))

    async def credentials(self, count: int) -> list[str]:
        """Good ones, fresh where they are good once."""
        if self.target.carries != "ticket":
            return [next(self._tokens) for _ in range(count)]
        found: list[str] = []
        numbers = iter(range(count))

        async def one() -> None:
            http = await Http.connect(self.process.port)
            found.extend([await self.ticket(http) for _ in numbers])
            http.close()

        await asyncio.gather(*(one() for _ in range(CLIENTS)))
        return found

    def bad(self) -> str:
        """A credential of the right form that is no good."""
        if self.target.carries == "token":
            return f"{next(self._tokens)[:-8]}AAAAAAAA"
        return str(uuid4()) if self.target.carries == "ticket" else secrets.token_hex(16)

    async def ticket(self, http: Http) -> str:
        """A ticket; empty where none was issued."""
        status, body = await http.ask(next(self._requests))
        return str(json.loads(body)[self.target.field]) if status in {200, 201} else ""

    async def open(self, credential: str) -> Socket:
        """A handshake with the credential."""
        path, headers = self.target.path, []
        if self.target.carries == "cookie":
            headers = [f"Cookie: sessionid={credential}"]
        elif self.target.carries != "nothing":
            path = f"{path}?{self.target.parameter}={credential}"
        return await Socket.open(self.process.port, upgrade(path, *headers))

    async def handshake(self, credential: str) -> bool:
        """Open a socket, hear what it says first where it does, and close it."""
        socket = await self.open(credential)
        if socket.status.result() != 101:
            return False
        if self.target.greets and not await socket.text:
            return False
        return await socket.close() in {1000, 1005}

    async def _issue(self, http: Http) -> bool:
        return bool(await self.ticket(http))

    async def _is_refused(self, credential: str) -> bool:
        socket = await self.open(credential)
        socket.transport.close()
        return socket.status.result() in {401, 403, self.target.refusal}

    async def _cycle(self, http: Http) -> bool:
        return await self.handshake(await self.ticket(http))


async def faults(clients: Clients) -> list[str]:
    """What a target does not do that it is measured for: where there is any, its figures mean nothing."""
    target = clients.target
    expected = {"good": True, "bad": target.carries == "nothing"}
    (good,) = await clients.credentials(1)
    seen = {"good": await _is_let_in(clients, good), "bad": await _is_let_in(clients, clients.bad())}
    if target.carries == "ticket":
        expected |= {"again": False, "garbage": False, "none": False}
        for name, credential in {"again": good, "garbage": "%ff%00", "none": ""}.items():
            seen[name] = await _is_let_in(clients, credential)
    wrong = [f"{target.name}: {name} is {seen[name]}" for name in expected if seen[name] is not expected[name]]
    if target.carries == "ticket":
        wrong += await _faults_of_tickets(clients)
    return wrong


async def _faults_of_tickets(clients: Clients) -> list[str]:
    target, wrong = clients.target, []
    http = await Http.connect(clients.process.port)
    status, _ = await http.ask(request(target.method, target.issue))
    http.close()
    if status != 401:
        wrong.append(f"{target.name}: a ticket without a token is {status}")
    for ticket in await clients.credentials(10):
        let_in = sum(await asyncio.gather(*(_is_let_in(clients, ticket) for _ in range(8))))
        if let_in != 1:
            wrong.append(f"{target.name}: {let_in} of 8 at once are let in with one ticket")
    if target.greets:
        (ticket,) = await clients.credentials(1)
        socket = await clients.open(ticket)
        if b'"bench-' not in await socket.text:
            wrong.append(f"{target.name}: {socket.text.result()!r} does not name the user")
        await socket.close()
    return wrong


async def _is_let_in(clients: Clients, credential: str) -> bool:
    socket = await clients.open(credential)
    let_in = await socket.lives()
    if let_in:
        await socket.close()
    socket.transport.close()
    return let_in


async def kib_per_idle_socket(clients: Clients, counts: list[int]) -> dict[int, float]:
    """What the server's memory grows by, for each of so many sockets that are open and silent."""
    for credential in await clients.credentials(10 * CLIENTS):
        await clients.handshake(credential)
    await asyncio.sleep(SETTLE)
    before = clients.process.memory()
    held: list[Socket] = []
    grown: dict[int, float] = {}
    for count in sorted(counts):
        async with asyncio.timeout(300):
            while len(held) < count:
                ready = await clients.credentials(min(count - len(held), CLIENTS))
                opened = await asyncio.gather(*(clients.open(credential) for credential in ready))
                held += [socket for socket in opened if socket.is_open]
        await asyncio.sleep(SETTLE)
        if lost := sum(not socket.is_open for socket in held):
            raise RuntimeError(f"{clients.target.name}: {lost} of {count} sockets did not stay open")
        grown[count] = round((clients.process.memory() - before) / count / 1024, 2)
    await asyncio.gather(*(socket.close() for socket in held))
    return grown
