"""R40, R41: closed is closed, whatever the peer does; and one that reads nothing holds bounded memory."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from config import addresses
from tests.conftest import PASSWORD, Service
from tests.processes import Process, ServiceProcess
from tests.servers import Node, until
from tests.sockets import CLOSE, PING, PONG, TEXT, Handshake, handshake
from ticketauth.stores.server import Server
from ticketauth.types import OURS, Identity, Subject
from ws.events import publish

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="Without /proc nobody says what the server holds."
)

CEILING = 10.0
"""Seconds that are promised."""

POLL = 0.2
PINGS = 4
"""Seconds between pings, and for the answer."""

NARROW = 4096
"""Bytes that the peer's kernel takes, so that the server's buffers fill up soon."""

LARGE = "x" * 60000


@pytest.fixture(scope="module")
def process(node: Node) -> Iterator[ServiceProcess]:
    with ServiceProcess(REDIS_URL=node.url, REVOCATION_POLL=str(POLL)) as process:
        yield process


@pytest.fixture
def service(process: ServiceProcess) -> Iterator[Service]:
    with Service(process.port) as service:
        yield service


@pytest.fixture
def tokens(service: Service) -> dict[str, str]:
    tokens: dict[str, str] = service.post("/api/token/", {"username": "owner", "password": PASSWORD}).json()
    return tokens


def connected(service: Service, tokens: dict[str, str], path: str = "/ws/echo/", **kwargs: Any) -> Handshake:
    bearer = ("Authorization", f"Bearer {tokens['access']}")
    socket = service.connect(path=path, headers=[bearer], **kwargs)
    assert socket.accepted
    return socket


def log_out(service: Service, tokens: dict[str, str]) -> None:
    assert service.post("/api/token/logout/", {"refresh": tokens["refresh"]}).status_code == 204


def held(port: int, socket: Handshake) -> bool:
    """Whether the server still has the connection: not what the kernel keeps of it after a close."""
    peer = socket.connection.getsockname()[1]
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, _, _, _, _, _, _, inode, *_ = line.split()
        if (int(local.split(":")[1], 16), int(remote.split(":")[1], 16)) == (port, peer):
            return inode != "0"
    return False


def stop_reading(socket: Handshake, message: str = LARGE) -> None:
    """Fill the buffers between us and the server with echoes, until it takes nothing any more."""
    socket.connection.settimeout(1)
    with contextlib.suppress(TimeoutError):
        for _ in range(1000):
            socket.send(message)
        raise AssertionError("60 MB were taken from one who reads nothing")


def taken(socket: Handshake, message: str) -> bool:
    """Whether somebody is there to send it to."""
    try:
        socket.send(message)
    except OSError:
        return False
    return True


def gone(port: int, socket: Handshake, within: float) -> None:
    began = time.monotonic()
    until(lambda: not held(port, socket), within)
    assert time.monotonic() - began < within


class TestR40:
    def test_a_peer_that_ignores_the_close_frame(self, service: Service, tokens: dict[str, str]) -> None:
        socket = connected(service, tokens)
        log_out(service, tokens)
        assert socket.close_code()[0] == 4403
        gone(service.port, socket, CEILING)

    def test_a_peer_that_reads_nothing(self, service: Service, tokens: dict[str, str]) -> None:
        socket = connected(service, tokens, receive_buffer=NARROW)
        stop_reading(socket)
        log_out(service, tokens)
        gone(service.port, socket, POLL + 1 + CEILING)

    def test_a_peer_that_goes_on_sending(self, service: Service, tokens: dict[str, str]) -> None:
        socket = connected(service, tokens)
        log_out(service, tokens)
        assert socket.close_code()[0] == 4403
        until(lambda: not taken(socket, "and another thing"), CEILING)

    def test_a_peer_that_answers_no_ping_and_reads_nothing(self, node: Node) -> None:
        pings = {"PING_INTERVAL": str(PINGS), "PING_TIMEOUT": str(PINGS)}
        with ServiceProcess(REDIS_URL=node.url, **pings) as process, Service(process.port) as service:
            tokens = service.post("/api/token/", {"username": "owner", "password": PASSWORD}).json()
            socket = connected(service, tokens, receive_buffer=NARROW)
            stop_reading(socket)
            gone(service.port, socket, 2 * PINGS + CEILING)

    def test_stock_uvicorn_waits_for_ever(self, node: Node, process: ServiceProcess) -> None:
        """The twin: until the peer has read what was written."""
        stock = Process(
            "-m", "uvicorn", "config.asgi:application", "--port", "PORT", "--lifespan", "off",
            "--ws", "websockets-sansio", REDIS_URL=node.url, DATABASE_URL=process.database_url,
            DJANGO_SETTINGS_MODULE="config.settings", REVOCATION_POLL=str(POLL),
        )  # fmt: skip
        with stock, Service(stock.port) as service:
            tokens = service.post("/api/token/", {"username": "owner", "password": PASSWORD}).json()
            socket = connected(service, tokens, receive_buffer=NARROW)
            stop_reading(socket)
            log_out(service, tokens)
            with pytest.raises(AssertionError, match="not within"):
                gone(service.port, socket, POLL + 1 + CEILING)


class TestBusyConsumer:
    """Messages that wait for it keep uvicorn from reading, pongs too."""

    @pytest.fixture
    def process(self, node: Node) -> Iterator[Process]:
        given = {"PING_INTERVAL": "1", "PING_TIMEOUT": "2", "WEB_CONCURRENCY": "1", "DRAIN_SECONDS": "0"}
        with Process("-m", "tests.workers", "held_up", REDIS_URL=node.url, **given) as process:
            yield process

    @pytest.fixture
    def socket(self, process: Process) -> Iterator[Handshake]:
        with handshake(process.port, "/") as socket:
            for message in ("wait", "a", "b", "c"):
                socket.send(message)
            yield socket

    def test_who_answers_pings_stays(self, process: Process, socket: Handshake) -> None:
        for _ in range(5):
            answer_a_ping(socket)
        go_on(process)
        assert [next_text(socket) for _ in range(4)] == ["wait", "a", "b", "c"]
        for _ in range(3):
            answer_a_ping(socket)

    def test_an_answer_that_waited_with_the_messages_has_its_time(self, process: Process, socket: Handshake) -> None:
        assert socket.frame()[0] == PING
        time.sleep(1.2)  # Not all of the time that it has; where the machine takes longer, nothing is shown.
        go_on(process)
        assert [next_text(socket) for _ in range(4)] == ["wait", "a", "b", "c"]
        for _ in range(3):
            answer_a_ping(socket)

    def test_who_does_not_goes_once_it_is_done(self, process: Process, socket: Handshake) -> None:
        for _ in range(3):
            assert socket.frame()[0] == PING
        go_on(process)
        while (frame := socket.frame())[0] != CLOSE:
            assert frame[0] in {PING, TEXT}
        assert frame[1] == struct.pack("!H", 1011) + b"keepalive ping timeout"
        gone(process.port, socket, CEILING)


def answer_a_ping(socket: Handshake) -> None:
    opcode, payload = socket.frame()
    assert opcode == PING, (opcode, payload)
    socket.send(payload, PONG)


def next_text(socket: Handshake) -> str:
    """After pings, each answered."""
    while (frame := socket.frame())[0] == PING:
        socket.send(frame[1], PONG)
    assert frame[0] == TEXT, frame
    return frame[1].decode()


def go_on(process: Process) -> None:
    with handshake(process.port, "/") as other:
        other.send("go on")
        assert next_text(other) == "go on"


MOST_MEGABYTES = 30


def resident(process: Process) -> float:
    """Megabytes."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class TestR41:
    """What is sent to one who stopped reading is many times what the process may grow by."""

    def test_echoes(self, process: ServiceProcess, service: Service, tokens: dict[str, str]) -> None:
        before = resident(process)
        for _ in range(10):
            stop_reading(connected(service, tokens, receive_buffer=NARROW))
        assert resident(process) - before < MOST_MEGABYTES

    def test_pongs(self, process: ServiceProcess, service: Service, tokens: dict[str, str]) -> None:
        """For each ping that comes one is due, whoever reads them."""
        socket = connected(service, tokens, receive_buffer=NARROW)
        before = resident(process)
        for _ in range(100):
            flood(socket, pings=5000)
        assert resident(process) - before < MOST_MEGABYTES

    def test_events(
        self, process: ServiceProcess, service: Service, tokens: dict[str, str], node: Node, settings: Any
    ) -> None:
        layer = addresses.channel_layer(node.url, Server.parse(node.url), "ticketauth-channels")
        settings.CHANNEL_LAYERS = {"default": layer}
        readers = [connected(service, tokens, "/ws/events/", receive_buffer=NARROW) for _ in range(2)]
        assert {reader.json()["type"] for reader in readers} == {"ticketauth.ready"}
        before = resident(process)
        for _ in range(3000):
            async_to_sync(publish)(Identity(OURS, Subject("1")), "news", LARGE)
        assert resident(process) - before < MOST_MEGABYTES


def flood(socket: Handshake, pings: int) -> None:
    """Pings, many at a time."""
    socket.connection.settimeout(30)
    frame = bytes([0x80 | PING, 0x80 | 125]) + bytes(4) + b"p" * 125
    socket.connection.sendall(frame * pings)
