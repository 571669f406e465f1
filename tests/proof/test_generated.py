"""R29: whatever is sent, the answer is one of those in docs/protocol.md, and comes soon."""

from __future__ import annotations

import socket
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import Phase, find, given, settings
from hypothesis.strategies import SearchStrategy

from tests.conftest import PASSWORD, Forge, Service
from tests.served import Served, served
from tests.servers import free_port
from tests.sockets import CLOSE, PING, Handshake
from tests.strategies import (
    KEYS,
    PONG,
    UPGRADE,
    Request,
    Sent,
    calls,
    frame,
    generated,
    handshakes,
    last_frames,
    messages,
)

SECONDS = 2
"""Within which every answer comes."""

Result = TypeVar("Result")


def ask(port: int, request: bytes) -> Handshake:
    """Send a request, and read its answer.

    Raises:
        TimeoutError: It took longer than it may.
    """
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        began = time.monotonic()
        connection.sendall(request)
        received = bytearray()
        while not (b"\r\n\r\n" in received and received.startswith(b"HTTP/1.1 101 ")):
            if not (chunk := connection.recv(65536)):
                break
            received += chunk
        if time.monotonic() - began > SECONDS:
            raise TimeoutError
        head, complete, rest = bytes(received).partition(b"\r\n\r\n")
        assert complete, f"no answer: {head!r}"
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(status_line.split()[1])
        kept = connection.dup() if status == 101 else connection
        return Handshake(status, headers, rest, kept, bytearray(rest))


def soon(attempt: Callable[[], Result]) -> Result:
    """What comes in time. A machine that is busy with something else has two more chances."""
    for _ in range(2):
        with suppress(TimeoutError):
            return attempt()
    return attempt()


class Cast:
    """The owner's real credentials, each made when it is asked for."""

    def __init__(self, owner: User, port: int) -> None:
        self._owner = owner
        self._service = Service(port)
        self.access = self._service.login(owner)["access"]
        forge = Forge(self.access)
        self.credentials: dict[bytes, Callable[[], bytes]] = {
            b"<ticket>": lambda: self.ticket().encode(),
            b"<spent>": self._spent,
            b"<access>": self.access.encode,
            b"<expired>": lambda: forge.token(exp=1).encode(),
            b"<refresh>": self._refresh,
            b"<session>": self._session,
            b"<password>": PASSWORD.encode,
        }

    def ticket(self) -> str:
        return self._service.ticket(self.access)

    def _spent(self) -> bytes:
        ticket = self.ticket()
        self._service.connect(f"ticket_uuid={ticket}").close()
        return ticket.encode()

    def _refresh(self) -> bytes:
        return self._service.login(self._owner)["refresh"].encode()

    def _session(self) -> bytes:
        client = Client()
        client.force_login(self._owner)
        return client.cookies["sessionid"].value.encode()

    def close(self) -> None:
        self._service.close()


@pytest.fixture
def running(transactional_db: None) -> Iterator[Served]:
    """The service. Its throttles count, and refuse nobody."""
    with served(LOGIN_RATE="100000/min", ACCESS_TOKEN_LIFETIME="86400") as running:
        yield running


@pytest.fixture
def cast(running: Served, owner: User) -> Iterator[Cast]:
    cast = Cast(owner, running.port)
    yield cast
    cast.close()


@contextmanager
def faultless(running: Served) -> Iterator[None]:
    """Nothing that happens meanwhile is a fault to the server."""
    yield
    faults = [line for line in running.records() if line["level"] in {"ERROR", "CRITICAL"} or "exc_info" in line]
    assert faults == []


def outcome(answer: Handshake) -> str:
    """The status; of an upgrade, whether the socket is then open or closed with a code."""
    if not answer.accepted:
        return str(answer.status)
    with answer:
        answer.send(b"", PING)
        while (answered := answer.frame())[0] not in {PONG, CLOSE}:
            pass
    opcode, payload = answered
    return "open" if opcode == PONG else f"closed {struct.unpack('!H', payload[:2])[0]}"


class TestR29:
    """Never 500, never a hang."""

    def test_every_handshake_is_answered_in_time(self, running: Served, cast: Cast) -> None:
        seen = set()

        @generated(200)
        @given(handshakes)
        def one(request: Request) -> None:
            answered = soon(lambda: outcome(ask(running.port, request.wire(cast.credentials))))
            seen.add(answered)
            assert answered in {"open", "closed 4401", "400", "401", "403", "404", "414", "431"}

        with faultless(running):
            one()
        assert seen >= {"open", "closed 4401", "400", "401", "403", "404"}

    def test_every_call_is_answered_in_time(self, running: Served, cast: Cast) -> None:
        allowed = {
            b"/api/token/": {200, 400, 401, 406, 415},
            b"/api/token/refresh/": {200, 400, 401, 406, 415},
            b"/api/token/logout/": {204, 400, 401, 406, 415},
            b"/api/tickets/": {201, 400, 401, 403, 415},
        }
        seen = set()

        @generated(150)
        @given(calls)
        def one(request: Request) -> None:
            answer = soon(lambda: ask(running.port, request.wire(cast.credentials)))
            seen.add((request.target, answer.status))
            assert answer.status in allowed[request.target], answer
            assert answer.status < 400 or _is_a_problem(answer), answer

        with faultless(running):
            one()
        assert {status for _, status in seen} >= {200, 201, 204, 400, 401, 403, 415}

    def test_every_bad_frame_closes_its_socket_with_the_right_code(self, running: Served, cast: Cast) -> None:
        @generated(50)
        @given(messages, last_frames)
        def one(before: list[tuple[int, bytes]], last: Sent) -> None:
            code = soon(lambda: _conversation(running.port, cast.access, before, last.wire))
            assert code in last.closes

        one()
        with _open(running.port, cast.access) as alive:
            assert outcome(alive) == "open"

    @pytest.mark.parametrize("requests", [handshakes, calls], ids=["handshakes", "calls"])
    def test_they_find_the_fault_of_a_careless_application(self, requests: SearchStrategy[Request]) -> None:
        """The twin."""
        port, nobodys = free_port(), dict.fromkeys((b"<ticket>", b"<spent>"), str(uuid.uuid4()).encode)

        def is_500(request: Request) -> bool:
            with suppress(AssertionError, TimeoutError):
                return ask(port, request.wire(nobodys)).status == 500
            return False

        with served("-m", "uvicorn", "tests.careless:application", "--port", str(port), port=port):
            find(requests, is_500, settings=settings(generated(300), phases=[Phase.generate]))


def _is_a_problem(answer: Handshake) -> bool:
    """Ours, or what uvicorn says to a request that it cannot read."""
    if answer.headers["content-type"] == "application/problem+json":
        return bool(answer.problem["status"] == answer.status)
    return (answer.status, answer.body) == (400, b"Invalid HTTP request received.")


def _open(port: int, access: str) -> Handshake:
    target, proof = b"/ws/echo/", (b"Authorization", f"Bearer {access}".encode())
    return ask(port, Request(b"GET", target, [*UPGRADE, *KEYS, proof]).wire({}))


def _conversation(port: int, access: str, messages: list[tuple[int, bytes]], last: bytes) -> int:
    """What is sent comes back; the code that the server closes with after what is sent last."""
    with _open(port, access) as socket:
        for opcode, payload in messages:
            socket.connection.sendall(frame(opcode, payload))
            assert socket.frame() == (opcode, payload)
        socket.connection.sendall(last)
        return socket.close_code()[0]
