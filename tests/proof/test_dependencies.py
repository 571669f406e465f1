"""R32 to R35: Redis or the database refuses, is silent, is full, is gone; seen from outside, on the whole service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sqlite3
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from config.postgres import patient_for
from tests.conftest import PASSWORD, Service
from tests.processes import Gate, NaiveProcess, Postgres, Process, ServiceProcess, postgres_programs
from tests.pulse import slowest_of_a_hundred
from tests.servers import Node, Topology, in_a_thread, until
from tests.sockets import TEXT, Handshake
from ticketauth.batch import THREADS
from ticketauth.conf import Settings

GOOD = "https://good.example"
REFUSED, SILENT = 1.0, 1.5
"""Seconds in which everybody is told, where a dependency refuses and where it is silent."""


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What failed is not to be looked for among thousands of requests."""
    caplog.set_level(logging.WARNING, "httpx")


@pytest.fixture(scope="module")
def process(node: Node) -> Iterator[ServiceProcess]:
    """The service, one process for all tests: what each of them does to it, it has got over by itself."""
    with ServiceProcess(REDIS_URL=node.url) as process:
        yield process


@pytest.fixture(scope="module")
def naive(node: Node, process: ServiceProcess) -> Iterator[NaiveProcess]:
    with NaiveProcess(REDIS_URL=node.url, DATABASE_URL=process.database_url) as naive:
        yield naive


@pytest.fixture
def service(process: ServiceProcess) -> Iterator[Service]:
    with Service(process.port) as service:
        yield service


@pytest.fixture(scope="module")
def access(process: ServiceProcess) -> str:
    service = Service(process.port)
    try:
        return service.login(User(username="owner"))["access"]
    finally:
        service.close()


# What may happen to Redis


@contextlib.contextmanager
def refused(node: Node) -> Iterator[None]:
    node.kill()
    try:
        yield
    finally:
        node.start()


@contextlib.contextmanager
def read_only(node: Node) -> Iterator[None]:
    with Node() as primary:
        node.client.replicaof("127.0.0.1", primary.port)
        try:
            until(lambda: node.info("replication")["master_link_status"] == "up")
            yield
        finally:
            node.client.replicaof("NO", "ONE")


@contextlib.contextmanager
def full(node: Node) -> Iterator[None]:
    node.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        node.client.config_set("maxmemory", 0)


FAULTS: dict[str, Callable[[Node], contextlib.AbstractContextManager[None]]] = {
    "refused": refused,
    "silent": Node.paused,
    "read-only": read_only,
}


# What is asked meanwhile


def at_once(*asked: Callable[[], Any]) -> list[tuple[Any, float]]:
    """Every answer, and after how many seconds it was there."""

    def timed(ask: Callable[[], Any]) -> tuple[Any, float]:
        began = time.monotonic()
        return ask(), time.monotonic() - began

    with ThreadPoolExecutor(len(asked)) as pool:
        return [future.result(30) for future in [pool.submit(timed, ask) for ask in asked]]


def everything(service: Service, access: str, tickets: list[str]) -> list[Callable[[], Any]]:
    """An issue, a handshake, and a handshake of a browser for each of two tickets."""
    first, second = (f"ticket_uuid={ticket}" for ticket in tickets)
    return [
        lambda: service.post("/api/tickets/", token=access),
        lambda: service.connect(first),
        lambda: service.connect(second, origin=GOOD),
    ]


def seen(answer: Any) -> tuple[Any, ...]:
    """What a client is told: the status, and what it is to do."""
    if not isinstance(answer, Handshake):
        return answer.status_code, answer.headers["content-type"], answer.json()["code"], answer.headers["retry-after"]
    if answer.status == 101:
        return answer.close_code()
    return answer.status, answer.headers["content-type"], answer.problem["code"], answer.headers["retry-after"]


COME_BACK = (503, "application/problem+json", "unavailable", "2")
COME_BACK_BROWSER = (1013, '{"code":"unavailable","retry_after":2}')


def decisions(lines: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """What was logged of each request that was decided on."""
    events = [line for line in lines if line.get("event") in {"issue", "handshake", "replay"}]
    return sorted((line["event"], line["level"], line["reason"]) for line in events)


def is_back(service: Service, access: str) -> bool:
    """Whether everything is as it was: a ticket opens a socket, once, and all dependencies answer."""
    issued = service.post("/api/tickets/", token=access)
    if issued.status_code != 201:
        return False
    query = f"ticket_uuid={issued.json()['ticket_uuid']}"
    with service.connect(query, "/ws/events/") as socket:
        if not socket.accepted or socket.json()["type"] != "ticketauth.ready":
            return False
    return service.connect(query).status == 401 and service.http.get("/readyz").status_code == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_r32_r33_everybody_is_told_to_come_back_in_time(
    process: ServiceProcess, service: Service, node: Node, access: str, fault: str
) -> None:
    tickets = [service.ticket(access) for _ in range(6)]
    with FAULTS[fault](node), process.logged() as lines:
        told = at_once(*(ask for n in range(3) for ask in everything(service, access, tickets[2 * n : 2 * n + 2])))
        ready = service.http.get("/readyz")
    answers = [seen(answer) for answer, _ in told]
    assert answers == [COME_BACK, COME_BACK, COME_BACK_BROWSER] * 3
    assert statistics.median(seconds for _, seconds in told) < (SILENT if fault == "silent" else REFUSED)
    reason = "redis_readonly" if fault == "read-only" else "redis_unreachable"
    assert decisions(lines) == [("handshake", "ERROR", reason)] * 6 + [("issue", "ERROR", reason)] * 3
    assert not [line for line in lines if "exc_info" in line]
    assert ready.status_code == 503
    assert "database ok\ntickets " in ready.text
    assert "tickets ok" not in ready.text
    until(lambda: is_back(service, access))


def test_r32_the_naive_way_gives_out_what_was_not_stored_and_lets_in_anonymous(node: Node, naive: NaiveProcess) -> None:
    with Service(naive.port) as client:
        with refused(node):
            issued = client.post("/api/tickets/")
            with client.connect(f"{issued.text}") as socket:
                assert (issued.status_code, socket.text()) == (201, "AnonymousUser")
        with client.connect(f"{issued.text}") as socket:
            assert socket.text() == "AnonymousUser"


@pytest.mark.parametrize("fault", ["silent", "full"])
def test_r32_a_ticket_that_was_given_out_while_redis_failed_was_stored(
    service: Service, node: Node, access: str, fault: str
) -> None:
    """The fault comes and goes in the middle of issues; whatever was answered with 201 opens a socket."""
    faults = {**FAULTS, "full": full}
    with asked_all_the_time(lambda: service.post("/api/tickets/", token=access), clients=8) as answers:
        until(lambda: len(answers) > 20)
        with faults[fault](node):
            until(lambda: [answer.status_code for answer in answers].count(503) > 10)
        seen_until_then = len(answers)
        until(lambda: len(answers) > seen_until_then + 20)
    issued = [answer.json()["ticket_uuid"] for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} == {201, 503}
    assert {service.connect(f"ticket_uuid={ticket}").status for ticket in issued} == {101}


def test_r32_a_full_redis_gives_out_no_ticket_and_takes_those_that_are_out(
    process: ServiceProcess, service: Service, node: Node, access: str
) -> None:
    ticket, another = service.ticket(access), service.ticket(access)
    with full(node), process.logged() as lines:
        (issued, seconds), *_ = at_once(lambda: service.post("/api/tickets/", token=access))
        assert seen(issued) == COME_BACK
        assert seconds < REFUSED
        assert service.connect(f"ticket_uuid={ticket}").accepted
        assert service.connect(f"ticket_uuid={ticket}").status == 401
        # Nothing can be published to this socket: its group cannot be joined.
        assert service.connect(f"ticket_uuid={another}", "/ws/events/").close_code()[0] == 1013
    assert ("issue", "ERROR", "redis_full") in decisions([line for line in lines if "reason" in line])
    assert not [line for line in lines if "exc_info" in line]
    until(lambda: is_back(service, access))


# Restarted


def test_r34_the_first_sixty_requests_after_a_restart_succeed(
    service: Service, node: Node, access: str, sockets: Callable[[list[str]], list[str]]
) -> None:
    issue = [lambda: service.post("/api/tickets/", token=access)] * 60
    # Leaves as many idle connections as the pools of the service have room for.
    node.client.client_pause(400, all=False)
    warm = [answer.json()["ticket_uuid"] for answer, _ in at_once(*issue) if answer.status_code == 201]
    sockets(warm)
    # Few: issues share round trips, and sockets the listener of their worker.
    assert Topology([node], node.url).visitors[0] > 3
    with refused(node):
        pass
    answers = [answer for answer, _ in at_once(*issue)]
    assert [answer.status_code for answer in answers] == [201] * 60
    assert sockets([answer.json()["ticket_uuid"] for answer in answers]) == ["ticketauth.ready"] * 60


@pytest.fixture
def sockets(service: Service) -> Callable[[list[str]], list[str]]:
    """Opens a socket of events with each ticket, all at once, and says what came first."""

    def first(ticket: str) -> str:
        socket = service.connect(f"ticket_uuid={ticket}", "/ws/events/")
        opcode, payload = socket.frame()
        return json.loads(payload)["type"] if opcode == TEXT else str(payload)

    return lambda tickets: [answer for answer, _ in at_once(*(partial(first, ticket) for ticket in tickets))]


async def test_r34_without_a_retry_all_sixty_fail(node: Node) -> None:
    pool = BlockingConnectionPool.from_url(node.url, max_connections=60, retry=Retry(NoBackoff(), 0))
    async with Redis(connection_pool=pool) as naive:
        connections = [await pool.get_connection() for _ in range(60)]
        for connection in connections:
            await pool.release(connection)
        with refused(node):
            pass
        answers = await asyncio.gather(*(naive.ping() for _ in range(60)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [RedisConnectionError] * 60
        await pool.disconnect()


# The event loop


@contextlib.contextmanager
def asked_all_the_time(ask: Callable[[], Any], clients: int, pause: float = 0.0) -> Iterator[list[Any]]:
    """Asked by many at once until the end, each after its last answer and a pause; the answers as they come."""
    answers: list[Any] = []
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            answers.append(ask())
            over.wait(pause)

    with ThreadPoolExecutor(clients) as pool:
        asking: list[Future[None]] = [pool.submit(go_on) for _ in range(clients)]
        try:
            yield answers
        finally:
            over.set()
    for one in asking:
        one.result()


STEADY = 0.05
"""Seconds in which `/healthz` answers 99 times of 100."""


def serves_on(server: Process) -> bool:
    """Whether the event loop turns. It is measured again where the machine, busy with something else, was slow."""
    return any(slowest_of_a_hundred(server.port, server.pid) < STEADY for _ in range(5))


@contextlib.contextmanager
def pestered(service: Service, access: str) -> Iterator[None]:
    """Tickets are asked for and sockets opened, by eight clients each, all the time."""

    def connect() -> None:
        with service.connect(f"ticket_uuid={uuid.uuid4()}"):
            pass

    issues = asked_all_the_time(lambda: service.post("/api/tickets/", token=access), 8, 0.5)
    handshakes = asked_all_the_time(connect, 8, 0.5)
    with issues, handshakes:
        yield


@pytest.mark.parametrize("fault", FAULTS)
def test_r32_r33_the_event_loop_serves_on(process, service: Service, node: Node, access: str, fault: str) -> None:
    with FAULTS[fault](node), pestered(service, access):
        assert serves_on(process)
    until(lambda: is_back(service, access))


def test_r33_the_naive_way_freezes_the_whole_worker(node: Node, naive: NaiveProcess) -> None:
    with Service(naive.port) as client:
        assert serves_on(naive)
        with node.paused(), ThreadPoolExecutor(1) as pool:
            pool.submit(client.post, "/api/tickets/")
            assert slowest_of_a_hundred(naive.port, naive.pid) > 10 * STEADY


# The database


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL; no package that pip installs is meant for others than its makers."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql), so no test can take it away.")
    with Postgres(programs) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def gate(postgres: Postgres) -> Iterator[Gate]:
    with in_a_thread(Gate(postgres)) as gate:
        assert isinstance(gate, Gate)
        yield gate


@pytest.fixture(scope="module")
def on_postgres(node: Node, postgres: Postgres, gate: Gate) -> Iterator[ServiceProcess]:
    """The service as in production, but for the seconds that a statement may take."""
    url = postgres.url(gate.port)
    with ServiceProcess(REDIS_URL=node.url, DATABASE_URL=url, DATABASE_STATEMENT_TIMEOUT="1") as process:
        yield process


@contextlib.contextmanager
def away(process: ServiceProcess) -> Iterator[None]:
    """The folder of the database is gone, as when a volume is not mounted."""
    elsewhere = process.database.parent.rename(process.folder / "elsewhere")
    try:
        yield
    finally:
        elsewhere.rename(process.database.parent)


@contextlib.contextmanager
def locked(process: ServiceProcess) -> Iterator[None]:
    """Somebody has the file to himself, who reads as who writes has to wait."""
    with contextlib.closing(sqlite3.connect(process.database, isolation_level=None, timeout=30)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


@contextlib.contextmanager
def not_migrated(process: ServiceProcess) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(process.database, isolation_level=None, timeout=30)) as database:
        database.execute("ALTER TABLE ticketauth_login RENAME TO elsewhere")
        yield
        database.execute("ALTER TABLE elsewhere RENAME TO ticketauth_login")


IN_A_FILE: dict[str, Callable[[ServiceProcess], contextlib.AbstractContextManager[None]]] = {
    "away": away,
    "locked": locked,
    "not migrated": not_migrated,
}

ON_A_SERVER: dict[str, Callable[[Postgres, Gate], contextlib.AbstractContextManager[None]]] = {
    "refused": lambda postgres, gate: postgres.killed(),
    "silent": lambda postgres, gate: gate.shut(),
    "forgotten": lambda postgres, gate: gate.shut(forget=True),
}

DATABASE = Settings().DATABASE_DEADLINE + 0.3
"""Seconds in which everybody is told."""


def logged_in(service: Service) -> str:
    """An access token; of a service that may still meet connections which an earlier test has left silent."""
    body = {"username": "owner", "password": PASSWORD}
    answer = until(lambda: (answer := service.post("/api/token/", body)).is_success and answer)
    return str(answer.json()["access"])


def everybody_is_told(process: ServiceProcess, fault: contextlib.AbstractContextManager[None]) -> None:
    with Service(process.port) as service:
        access = logged_in(service)
        tickets = [service.ticket(access) for _ in range(6)]
        with fault, process.logged() as lines:
            told = at_once(*(ask for n in range(3) for ask in everything(service, access, tickets[2 * n : 2 * n + 2])))
            ready = service.http.get("/readyz")
            with pestered(service, access):
                assert serves_on(process)
        assert [seen(answer) for answer, _ in told] == [COME_BACK, COME_BACK, COME_BACK_BROWSER] * 3
        assert statistics.median(seconds for _, seconds in told) < DATABASE
        assert ready.status_code == 503
        assert ready.text.startswith("database ")
        assert "tickets ok\ncache ok\nchannels ok\n" in ready.text
        until(lambda: is_back(service, access))
        assert {told for told in decisions(lines) if told[2] == "database"} == {
            ("handshake", "ERROR", "database"),
            ("issue", "ERROR", "database"),
        }
        assert not [line for line in lines if "exc_info" in line]


@pytest.mark.parametrize("fault", IN_A_FILE)
def test_r35_a_file_that_cannot_be_read(process: ServiceProcess, fault: str) -> None:
    everybody_is_told(process, IN_A_FILE[fault](process))


@pytest.mark.parametrize("fault", ON_A_SERVER)
def test_r35_a_server_that_does_not_answer(
    on_postgres: ServiceProcess, postgres: Postgres, gate: Gate, fault: str
) -> None:
    everybody_is_told(on_postgres, ON_A_SERVER[fault](postgres, gate))


def test_r35_no_thread_waits_for_ever(on_postgres: ServiceProcess, gate: Gate) -> None:
    """More outages than the library has threads for the database, each with a connection that never speaks again."""
    with Service(on_postgres.port) as service:
        access = logged_in(service)
        for _ in range(THREADS + 1):
            with gate.shut(forget=True):
                assert service.post("/api/tickets/", token=access).status_code == 503
            until(lambda: service.post("/api/tickets/", token=access).status_code == 201)
        until(lambda: is_back(service, access))


def test_r35_a_plain_connection_does(postgres: Postgres, gate: Gate) -> None:
    """The twin: the time-out of statements, which the server keeps, helps nobody whom the server does not reach."""
    url, options = postgres.url(gate.port), "-c statement_timeout=200"
    with (
        contextlib.closing(psycopg.connect(url, options=options)) as plain,
        contextlib.closing(patient_for(0.5).connect(url, options=options)) as patient,
        ThreadPoolExecutor(2) as pool,
        gate.shut(forget=True),
    ):
        waiting = pool.submit(plain.execute, "SELECT 1")
        with pytest.raises(psycopg.OperationalError, match=r"no answer for 0\.5 s"):
            pool.submit(patient.execute, "SELECT 1").result(10)
        assert not waiting.done()
        # What nobody does for a thread of a service.
        with socket.socket(fileno=os.dup(plain.fileno())) as its_own:
            its_own.shutdown(socket.SHUT_RDWR)


def test_r35_the_naive_way_freezes_the_whole_worker(process: ServiceProcess, naive: NaiveProcess) -> None:
    with Service(naive.port) as client:
        assert client.http.get("/user/").text == "owner"
        with locked(process), ThreadPoolExecutor(1) as pool:
            pool.submit(client.http.get, "/user/")
            assert slowest_of_a_hundred(naive.port, naive.pid) > 10 * STEADY
