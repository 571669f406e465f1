"""R39: however a logout and a handshake meet, no socket of a login that is over stays open.

`RACES=10000` for the long form.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import json
import os
import random
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Self

import pytest

from tests.processes import ROOT, ServiceProcess
from tests.servers import Node

RACES = int(os.environ.get("RACES", "1000"))
RUNNERS = 40
"""Races at a time."""

SETTINGS = {"WEB_CONCURRENCY": "2", "LOG_LEVEL": "WARNING", "DATABASE_DEADLINE": "5"}
"""Workers that share two processors with their clients are slow, and 503 is no outcome of a race."""

POLL = 2.0
CEILING = POLL + 1.0
"""Seconds of running time after a logout in which the socket has to be closed."""


@pytest.fixture
def process() -> Iterator[ServiceProcess]:
    with Node() as node, ServiceProcess(REDIS_URL=node.url, **SETTINGS) as process:
        yield process


class Ender:
    """See `tests/ender.py`."""

    logins: list[tuple[str, str]]

    @asynccontextmanager
    async def running(self, process: ServiceProcess) -> AsyncIterator[Self]:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.ender", str(RACES)),
            cwd=ROOT,
            env=process.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**27,
        )
        assert self._process.stdin
        assert self._process.stdout
        self.logins = json.loads(await self._process.stdout.readline())
        self._ended: dict[str, asyncio.Future[float]] = {}
        reading = asyncio.create_task(self._read(self._process.stdout))
        yield self
        self._process.stdin.close()
        await self._process.wait()
        await reading

    async def end(self, sid: str) -> float:
        """The monotonic time at which it was over for certain."""
        assert self._process.stdin
        self._ended[sid] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(f"{sid}\n".encode())
        return await self._ended[sid]

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            self._ended.pop(line.decode().strip()).set_result(time.monotonic())


@dataclass
class Outcomes:
    """What became of the races.

    Attributes:
        refused: Handshakes that came too late: 401, or 403 where the hub knew first.
        closed: For each that was let in, its close code and the seconds from the logout to its end, less those in
            which this process, and so perhaps the workers, was given no processor.
        handshakes: Seconds that the last ones took; the logouts are spread over as many before and after.
    """

    refused: collections.Counter[int] = field(default_factory=collections.Counter)
    closed: list[tuple[int, float]] = field(default_factory=list)
    handshakes: collections.deque[float] = field(default_factory=lambda: collections.deque([0.02], 50))
    stalled: float = 0.0

    async def watch_the_machine(self) -> None:
        """Count the seconds without a processor."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.stalled += max(0.0, time.monotonic() - before - 0.1)

    def __str__(self) -> str:
        after = sorted(seconds for _, seconds in self.closed)
        refused = " and ".join(f"{count} refused with {status}" for status, count in sorted(self.refused.items()))
        return f"{refused}, {len(after)} let in and closed after {median(after):.2f} s, {after[-1]:.2f} s at most"


async def _connect(port: int, token: str) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws/echo/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), reader, writer


async def _close_code(reader: asyncio.StreamReader) -> int:
    head = await reader.readexactly(2)
    assert head[0] & 0x0F == 8, "nothing was to be sent but a close frame"
    payload = await reader.readexactly(head[1])
    return int(struct.unpack("!H", payload[:2])[0])


async def _race(port: int, ender: Ender, sid: str, token: str, outcomes: Outcomes) -> None:
    async def log_out() -> float:
        await asyncio.sleep(max(0.0, lead))
        return await ender.end(sid)

    usual = median(outcomes.handshakes)
    lead = random.uniform(-usual, usual)  # noqa: S311 -- no secret
    ending = asyncio.create_task(log_out())
    await asyncio.sleep(max(0.0, -lead))
    began = time.monotonic()
    status, reader, writer = await _connect(port, token)
    outcomes.handshakes.append(time.monotonic() - began)
    try:
        ended = await ending
        if status == 101:
            stalled = outcomes.stalled
            async with asyncio.timeout(10 * CEILING):
                code = await _close_code(reader)
            outcomes.closed.append((code, time.monotonic() - ended - (outcomes.stalled - stalled)))
        else:
            outcomes.refused[status] += 1
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_no_socket_of_a_login_that_is_over_stays_open(process: ServiceProcess) -> None:
    outcomes = Outcomes()

    async def run() -> None:
        while ender.logins:
            await _race(process.port, ender, *ender.logins.pop(), outcomes)

    watching = asyncio.create_task(outcomes.watch_the_machine())
    async with Ender().running(process) as ender, asyncio.TaskGroup() as runners:
        for _ in range(RUNNERS):
            runners.create_task(run())
    watching.cancel()
    print(outcomes)  # noqa: T201 - shown by -s, and where it fails
    assert outcomes.refused.total() + len(outcomes.closed) == RACES
    assert {code for code, _ in outcomes.closed} == {4403}
    assert max(seconds for _, seconds in outcomes.closed) < CEILING
    assert set(outcomes.refused) <= {401, 403}
    # Else it was no race.
    assert min(outcomes.refused.total(), len(outcomes.closed)) > RACES / 10
