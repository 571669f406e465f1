"""R36: the sockets of a login that is over are closed in time, whatever else goes wrong. Workers are processes.

The twin closes sockets by a group message, the usual way with Channels, and leaves them open.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from django.contrib.auth.models import User

from tests.conftest import Service
from tests.processes import ROOT, Gate, Process, ServiceProcess
from tests.servers import Link, Node, in_a_thread, until
from tests.sockets import Handshake

POLL, GRACE = 2.0, 4.0

CEILING = POLL + 1.0
"""Seconds of a worker's running time that are promised."""

SOCKETS = 20


class Hole(Gate):
    """In front of Redis. Shut, it swallows what goes to those who wait for messages, and nothing else.

    Args:
        node: Redis.
        command: By which they wait.
    """

    def __init__(self, node: Node, command: bytes = b"SUBSCRIBE") -> None:
        super().__init__(node)
        self._command = command
        self._waiting: set[Link] = set()

    async def _request(self, link: Link, chunk: bytes) -> bytes:
        if self._command in chunk:
            self._waiting.add(link)
        return chunk

    async def _reply(self, link: Link, chunk: bytes) -> bytes:
        return await super()._reply(link, chunk) if link in self._waiting else chunk


@pytest.fixture(scope="module")
def hole(node: Node) -> Iterator[Hole]:
    with in_a_thread(Hole(node)) as hole:
        assert isinstance(hole, Hole)
        yield hole


@pytest.fixture(scope="module")
def process(hole: Hole) -> Iterator[ServiceProcess]:
    """Two workers."""
    settings = {"WEB_CONCURRENCY": "2", "BLIND_GRACE": str(GRACE), "RATE_PER_USER": "0", "LOGIN_RATE": "0"}
    with ServiceProcess(REDIS_URL=hole.url, **settings) as process:
        yield process


@pytest.fixture
def service(process: ServiceProcess) -> Iterator[Service]:
    with Service(process.port) as service:
        yield service


def _login(service: Service) -> dict[str, str]:
    return service.login(User(username="owner"))


@pytest.fixture
def tokens(service: Service) -> dict[str, str]:
    # After a fault, connections that it left silent are met once.
    tokens: dict[str, str] = until(lambda: _ticket_comes(pair := _login(service), service) and pair)
    return tokens


def _ticket_comes(pair: dict[str, str], service: Service) -> bool:
    return service.post("/api/tickets/", token=pair["access"]).status_code == 201


@pytest.fixture
def sockets(service: Service, tokens: dict[str, str]) -> list[Handshake]:
    return _opened(service, tokens)


def _opened(service: Service, tokens: dict[str, str]) -> list[Handshake]:
    """At once, so that both workers have some."""
    queries = [f"ticket_uuid={service.ticket(tokens['access'])}" for _ in range(SOCKETS)]
    with ThreadPoolExecutor(SOCKETS) as pool:
        opened = list(pool.map(service.connect, queries))
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


def _log_out(service: Service, tokens: dict[str, str]) -> None:
    assert service.post("/api/token/logout/", {"refresh": tokens["refresh"]}).status_code == 204


def _listeners(node: Node) -> set[int]:
    return {int(client["id"]) for client in node.client.client_list(_type="pubsub")}


def _listening(node: Node, but: Collection[int] = ()) -> set[int]:
    """The connections of the workers that have sockets, without some."""
    return until(lambda: _listeners(node).difference(but))


def test_a_logout_is_heard_without_the_poll(
    service: Service, node: Node, tokens: dict[str, str], sockets: list[Handshake]
) -> None:
    """The same question, asked sooner."""
    _listening(node)
    with node.client.pubsub() as pubsub:
        pubsub.psubscribe("*")
        assert pubsub.get_message(timeout=5)
        _log_out(service, tokens)
        assert pubsub.get_message(timeout=5)["data"] == b""
    assert _closed(sockets, CEILING) == {4403}


def test_a_command_is_heard_too(process: ServiceProcess, node: Node, sockets: list[Handshake]) -> None:
    """Though it ends at once, and the server's address is a name."""
    _listening(node)
    with node.client.pubsub() as pubsub:
        pubsub.psubscribe("*")
        assert pubsub.get_message(timeout=5)
        environment = {**process.environment, "REDIS_URL": f"redis://localhost:{node.port}/0"}
        command = [sys.executable, "-m", "django", "revoke", "owner"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        assert pubsub.get_message(timeout=5)["data"] == b""
    assert _closed(sockets, CEILING) == {4403}


def test_the_subscriptions_are_killed(
    service: Service, node: Node, tokens: dict[str, str], sockets: list[Handshake]
) -> None:
    """Again and again."""
    over, killed = threading.Event(), list[int]()

    def kill() -> None:
        while not over.wait(0.005):
            killed.append(int(node.client.client_kill_filter(_type="pubsub")))

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        try:
            until(lambda: sum(killed) > 5)
            _log_out(service, tokens)
            assert _closed(sockets, CEILING) == {4403}
        finally:
            over.set()
        killing.result()


def test_the_subscriptions_are_in_a_black_hole(
    process: ServiceProcess, service: Service, node: Node, hole: Hole, tokens: dict[str, str], sockets: list[Handshake]
) -> None:
    """Nothing comes any more, and no connection ends: it is noticed, and others take their place."""
    silent = _listening(node)
    other = _login(service)
    others = _opened(service, other)
    noticed = process.log().count("wakes are not heard")
    with hole.shut(forget=True):
        _log_out(service, tokens)
        assert _closed(sockets, CEILING) == {4403}
        until(lambda: process.log().count("wakes are not heard") > noticed)
    _listening(node, but=silent)
    _log_out(service, other)
    assert _closed(others, CEILING) == {4403}


def test_redis_is_restarted_empty(
    service: Service, node: Node, tokens: dict[str, str], sockets: list[Handshake]
) -> None:
    node.kill()
    node.start()
    _log_out(service, tokens)
    assert _closed(sockets, CEILING) == {4403}


def test_redis_is_silent(service: Service, node: Node, tokens: dict[str, str], sockets: list[Handshake]) -> None:
    with node.paused():
        began = time.monotonic()
        _log_out(service, tokens)
        assert time.monotonic() - began < 1, "a logout waits for Redis"
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


LINUX = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="Without /proc nobody says who the workers are."
)


def _end(socket: Handshake, within: float) -> int | None:
    """Its close code, or None where the connection ended without."""
    socket.connection.settimeout(within)
    try:
        return socket.close_code()[0]
    except (EOFError, ConnectionError):
        return None


@LINUX
def test_a_worker_is_killed(process: ServiceProcess, tokens: dict[str, str], sockets: list[Handshake]) -> None:
    """Its sockets are gone with it, and those of the other are closed."""
    victim = _workers(process)[-1]
    os.kill(victim, signal.SIGKILL)
    # Not by a connection that the victim may have had.
    with Service(process.port) as anew:
        _log_out(anew, tokens)
    began = time.monotonic()
    assert {_end(socket, CEILING) for socket in sockets} <= {4403, None}
    assert time.monotonic() - began < CEILING
    until(lambda: victim not in _workers(process) and len(_workers(process)) >= 2)


@LINUX
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


# The twin


@pytest.fixture(scope="module")
def its_hole(node: Node) -> Iterator[Hole]:
    with in_a_thread(Hole(node, b"BZPOPMIN")) as hole:
        assert isinstance(hole, Hole)
        yield hole


@pytest.fixture
def twin(its_hole: Hole) -> Iterator[Process]:
    server = ("-m", "uvicorn", "tests.grouped:application", "--port", "PORT", "--lifespan", "off")
    with Process(*server, REDIS_URL=its_hole.url) as twin:
        yield twin


@pytest.fixture
def its_sockets(twin: Process) -> Iterator[list[Handshake]]:
    with Service(twin.port) as service:
        sockets = [service.connect() for _ in range(SOCKETS)]
        assert [socket.text() for socket in sockets] == ["ready"] * SOCKETS
        yield sockets


def _are_open(sockets: list[Handshake]) -> bool:
    for socket in sockets:
        socket.send("open?")
    return {socket.text() for socket in sockets} == {"open?"}


def test_the_twin_closes_where_nothing_goes_wrong(twin: Process, its_sockets: list[Handshake]) -> None:
    assert httpx.post(f"http://127.0.0.1:{twin.port}/logout/").status_code == 204
    assert _closed(its_sockets, CEILING) == {4403}


def test_the_twin_leaves_them_open_where_redis_is_silent(
    twin: Process, node: Node, its_sockets: list[Handshake]
) -> None:
    """It cannot say so, and waits."""
    with node.paused():
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"http://127.0.0.1:{twin.port}/logout/", timeout=CEILING)
        assert _are_open(its_sockets)


def test_the_twin_leaves_them_open_in_a_black_hole(twin: Process, its_hole: Hole, its_sockets: list[Handshake]) -> None:
    """It says 204, the message is in Redis, and who waits for it there waits for ever."""
    with its_hole.shut(forget=True):
        assert httpx.post(f"http://127.0.0.1:{twin.port}/logout/").status_code == 204
        time.sleep(CEILING)  # Nothing is to happen: there is no event to wait for.
        assert _are_open(its_sockets)
    assert _are_open(its_sockets)
