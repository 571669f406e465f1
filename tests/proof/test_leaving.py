"""How a server ends: sockets are told one after the other, requests are answered, and the process is gone in time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User

from config.server import MARGIN
from tests.asgi_servers import project_environment
from tests.conftest import PASSWORD, Service
from tests.docs.tables import read, section
from tests.processes import Process, ServiceProcess
from tests.servers import Node, until
from tests.sockets import CLOSE, Handshake, handshake
from ticketauth import logins

SECONDS = 3
SOCKETS = 100
GOOD = "https://good.example"
AT_ONCE = 20.0
"""Seconds that the end of a process takes at most on a loaded machine, where there is nothing to wait for. It would
wait for 60.
"""


@contextlib.contextmanager
def running(node: Node, workers: int = 1, seconds: float = SECONDS, **variables: str) -> Iterator[ServiceProcess]:
    """The service, as an operator starts it."""
    given = {"WEB_CONCURRENCY": str(workers), "DRAIN_SECONDS": str(seconds), **variables}
    with ServiceProcess(REDIS_URL=node.url, **given) as process:
        yield process


@contextlib.contextmanager
def client(process: Process) -> Iterator[tuple[Service, str]]:
    """Somebody who has logged in, and their token."""
    with Service(process.port) as service:
        answer = service.post("/api/token/", {"username": "owner", "password": PASSWORD})
        yield service, answer.json()["access"]


def connected(service: Service, token: str, **kwargs: Any) -> Handshake:
    return service.connect(headers=[("Authorization", f"Bearer {token}")], **kwargs)


def crowd(service: Service, token: str, sockets: int = SOCKETS) -> list[Handshake]:
    opened = [connected(service, token) for _ in range(sockets)]
    assert all(socket.accepted for socket in opened)
    return opened


def workers_of(process: Process) -> set[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    pids = {int(pid) for pid in children.read_text(encoding="ascii").split()}
    # Beside them there is multiprocessing's own helper.
    return {pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


class Told(NamedTuple):
    """The close frame of a socket: when it came, on the monotonic clock, and what it said."""

    at: float
    code: int
    reason: str


def told(sockets: list[Handshake]) -> list[Told]:
    """All close frames, each answered as a client does; 1006 where the connection ended without one."""
    ends: list[Told] = []
    with selectors.DefaultSelector() as selector:
        for socket in sockets:
            selector.register(socket.connection, selectors.EVENT_READ, socket)
        while selector.get_map():
            ready = selector.select(60)
            assert ready, "some are never told"
            for key, _ in ready:
                selector.unregister(key.fileobj)
                ends.append(_end_of(key.data))
    return ends


def _end_of(socket: Handshake) -> Told:
    try:
        opcode, payload = socket.frame()
    except (EOFError, OSError):
        return Told(time.monotonic(), 1006, "")
    assert opcode == CLOSE
    socket.send(payload, CLOSE)
    return Told(time.monotonic(), struct.unpack("!H", payload[:2])[0], payload[2:].decode())


def signalled(process: Process, number: int = signal.SIGTERM) -> float:
    """When it was."""
    os.kill(process.pid, number)
    return time.monotonic()


def signalled_all(process: Process, workers: int, number: int) -> float:
    """The whole group, as a terminal and systemd do."""
    for pid in workers_of(process) if workers > 1 else ():
        os.kill(pid, number)
    return signalled(process, number)


def exit_code(process: Process, within: float) -> int:
    return process._process.wait(within)


def draining(service: Service) -> bool:
    answer = service.http.get("/readyz")
    return (answer.status_code, answer.text) == (503, "draining\n")


@pytest.mark.parametrize("workers", [1, 2])
class TestLeaving:
    def test_all_sockets_are_told_spread_over_the_time(self, node: Node, workers: int) -> None:
        with running(node, workers) as process, client(process) as (service, token):
            sockets = crowd(service, token)
            began = signalled(process)
            ends = told(sockets)
            assert exit_code(process, SECONDS + MARGIN) == 0
            assert time.monotonic() - began < SECONDS + MARGIN
        assert {end.code for end in ends} == {1012}
        waits = {json.loads(end.reason)["retry_after"] for end in ends}
        assert len(waits) > 1
        first = min(end.at for end in ends)
        tenths = [int((end.at - first) / SECONDS * 10) for end in ends]
        assert max(tenths.count(tenth) for tenth in tenths) < SOCKETS / 2

    def test_meanwhile_handshakes_are_refused_and_requests_answered(self, node: Node, workers: int) -> None:
        with running(node, workers, seconds=30) as process, client(process) as (service, token):
            crowd(service, token)
            signalled(process)
            until(lambda: draining(service))
            # The other worker got its signal at the same time, and may not have looked yet.
            until(lambda: all(connected(service, token).status == 503 for _ in range(10)))
            answer = connected(service, token)
            assert answer.problem["code"] == "restarting"
            assert 1 <= int(answer.headers["retry-after"]) <= 5
            assert connected(service, token, origin=GOOD).close_code()[0] == 1012
            assert service.http.get("/api/sessions/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
            assert service.http.get("/healthz").status_code == 200
            signalled(process)

    def test_without_sockets_it_ends_at_once(self, node: Node, workers: int) -> None:
        with running(node, workers, seconds=60) as process:
            began = signalled(process)
            assert exit_code(process, 60) == 0
            assert time.monotonic() - began < AT_ONCE

    def test_a_second_signal_ends_it_at_once(self, node: Node, workers: int) -> None:
        with running(node, workers, seconds=60) as process, client(process) as (service, token):
            crowd(service, token, 20)
            signalled(process)
            until(lambda: draining(service))
            began = signalled(process)
            exit_code(process, 60)
            assert time.monotonic() - began < AT_ONCE

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_one_that_reaches_all_of_them_counts_once(self, node: Node, workers: int, number: int) -> None:
        """As Ctrl-C does, and systemd."""
        with running(node, workers) as process, client(process) as (service, token):
            sockets = crowd(service, token, 20)
            signalled_all(process, workers, number)
            assert {end.code for end in told(sockets) if json.loads(end.reason)} == {1012}
            assert exit_code(process, SECONDS + MARGIN) == 0

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_second_that_reaches_all_of_them_ends_it_at_once(self, node: Node, workers: int, number: int) -> None:
        with running(node, workers, seconds=60) as process, client(process) as (service, token):
            crowd(service, token, 20)
            signalled_all(process, workers, number)
            until(lambda: draining(service))
            # The parent waits for its workers; before that, two signals are one.
            until(lambda: workers == 1 or process.log().count("Terminated child process") == workers)
            began = signalled_all(process, workers, number)
            exit_code(process, 60)
            assert time.monotonic() - began < AT_ONCE

    def test_who_answers_nothing_does_not_hold_it_up(self, node: Node, workers: int) -> None:
        with running(node, workers, seconds=0) as process, client(process) as (service, token):
            crowd(service, token, 20)
            began = signalled(process)
            assert exit_code(process, 60) == 0
            assert time.monotonic() - began < MARGIN

    def test_a_consumer_that_is_busy_does_not_hold_it_up(self, node: Node, workers: int) -> None:
        variables = {"REDIS_URL": node.url, "WEB_CONCURRENCY": str(workers), "DRAIN_SECONDS": "1"}
        with Process("-m", "tests.workers", "busy", **variables) as process:
            socket = handshake(process.port, "/")
            socket.send("go")
            assert socket.text() == "busy"
            began = signalled(process)
            assert socket.close_code()[0] == 1012
            assert exit_code(process, 60) == 0
            assert time.monotonic() - began < 1 + MARGIN
            socket.close()


@pytest.mark.parametrize("number", [signal.SIGWINCH, signal.SIGHUP, signal.SIGUSR1])
def test_what_says_nothing_of_the_end_does_not_count_as_the_second(node: Node, number: int) -> None:
    with running(node, 2) as process, client(process) as (service, token):
        sockets = crowd(service, token, 20)
        signalled(process)
        until(lambda: process.log().count("Terminated child process") == 2)
        signalled(process, number)
        assert {end.code for end in told(sockets) if json.loads(end.reason)} == {1012}
        assert exit_code(process, SECONDS + MARGIN) == 0


def test_a_request_that_is_being_answered_is_answered(node: Node) -> None:
    """Its answer waits for the database until after the signal."""
    with running(node, seconds=0, DATABASE_STATEMENT_TIMEOUT="5") as process, client(process) as (service, _):
        answers: list[int] = []
        body = {"username": "owner", "password": PASSWORD}
        asking = threading.Thread(target=lambda: answers.append(service.post("/api/token/", body).status_code))
        with closing(sqlite3.connect(process.database, isolation_level=None, timeout=30)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            asking.start()
            time.sleep(2)  # It waits in the server; nothing says so.
            signalled(process)
            until(lambda: "Shutting down" in process.log())
            holder.execute("ROLLBACK")
        asking.join()
        assert answers == [200]
        assert exit_code(process, MARGIN) == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Without /proc nobody says who the workers are.")
def test_a_worker_that_dies_is_replaced(node: Node) -> None:
    with running(node, 2) as process, client(process) as (service, _):
        before = until(lambda: len(found := workers_of(process)) == 2 and found)
        os.kill(victim := min(before), signal.SIGKILL)
        until(lambda: len(after := workers_of(process)) == 2 and victim not in after)
        assert service.http.get("/healthz").status_code == 200
        signalled(process)
        # 1 where the new one was still starting.
        assert exit_code(process, 60) in {0, 1}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Without /proc nobody says who the workers are.")
def test_a_worker_that_is_told_to_leave_does_so_in_order_and_is_replaced(node: Node) -> None:
    with running(node, 2, seconds=1) as process, client(process) as (service, token):
        before = until(lambda: len(found := workers_of(process)) == 2 and found)
        sockets = crowd(service, token, 40)
        for pid in before:
            os.kill(pid, signal.SIGTERM)
        assert {end.code for end in told(sockets)} == {1012}
        until(lambda: len(after := workers_of(process)) == 2 and not after & before)
        until(lambda: connected(service, token).accepted)


PROGRAMS = dict(
    re.findall(r"(?ms)^(\w+), one worker:\n\n```python\n(.*?)```", section(read("docs/servers.md"), "Restarts"))
)


def test_the_document_has_programs() -> None:
    assert set(PROGRAMS) == {"uvicorn", "hypercorn"}


@pytest.mark.parametrize("server", PROGRAMS)
def test_the_documented_lines_leave_in_order(node: Node, owner: User, server: str) -> None:
    program = PROGRAMS[server].replace("mysite", "tests.project").replace("8000", "PORT")
    token = str(logins.start(owner).access_token)
    with (
        Process("-c", program, **project_environment(node.url, REFUSAL_PROFILE="denial")) as process,
        Service(process.port) as service,
    ):
        sockets = [service.connect(f"ticket_uuid={service.ticket(token)}", "/ws/hello/") for _ in range(20)]
        assert {socket.json()["hello"] for socket in sockets} == {owner.username}
        ends: list[Told] = []
        telling = threading.Thread(target=lambda: ends.extend(told(sockets)))
        telling.start()
        signalled(process)
        until(lambda: service.connect("ticket_uuid=bad", "/ws/hello/").status == 503)
        telling.join()
        process._process.wait(30)
    assert {end.code for end in ends} == {1012}
    assert all(json.loads(end.reason)["retry_after"] for end in ends)
    assert max(end.at for end in ends) - min(end.at for end in ends) > 0.5


def test_stock_uvicorn_closes_without_a_word(node: Node) -> None:
    """The twin: all at once, and who comes then finds nobody."""
    with running(node) as ours, client(ours) as (_, token):
        stock = Process(
            "-m", "uvicorn", "config.asgi:application", "--port", "PORT", "--lifespan", "off",
            REDIS_URL=node.url, DATABASE_URL=ours.database_url, DJANGO_SETTINGS_MODULE="config.settings",
        )  # fmt: skip
        with stock, Service(stock.port) as service:
            sockets = crowd(service, token, 20)
            signalled(stock)
            assert {(end.code, end.reason) for end in told(sockets)} <= {(1012, ""), (1006, "")}
            with pytest.raises(OSError, match=re.compile("refused|reset", re.IGNORECASE)):
                connected(service, token)
