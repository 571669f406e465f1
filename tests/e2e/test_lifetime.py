"""How long a socket lives: what it is told ahead of its end, what prolongs it, and what is too much."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from socket import SHUT_WR
from typing import Any, ClassVar

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from config.protocol import MOST_PIECES, WebSocketProtocol
from tests.conftest import Forge, Service, in_a_server
from tests.servers import until
from tests.sockets import CLOSE, PING, PONG, Handshake, handshake
from ticketauth import guard, logins
from ticketauth.middleware import TicketAuthMiddlewareStack
from ticketauth.models import Login

POLL = 0.2
V1 = "ticketauth.v1"


@pytest.fixture(autouse=True)
def _often(settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": POLL}


def _events(service: Service, access: str, subprotocols: str | None = V1) -> Handshake:
    socket = service.connect(f"ticket_uuid={service.ticket(access)}", path="/ws/events/", subprotocols=subprotocols)
    assert socket.json()["type"] == "ticketauth.ready"
    return socket


def _by_token(service: Service, token: str, subprotocols: str | None = V1) -> Handshake:
    bearer = ("Authorization", f"Bearer {token}")
    socket = service.connect(path="/ws/events/", headers=[bearer], subprotocols=subprotocols)
    assert socket.json()["type"] == "ticketauth.ready"
    return socket


def _renew(socket: Handshake, ticket: str, **members: Any) -> None:
    socket.send(json.dumps({"type": "ticketauth.renew", "ticket_uuid": ticket, **members}))


def _is_open(socket: Handshake) -> bool:
    socket.send('{"type": "ping", "id": "open?"}')
    while (answer := socket.json())["type"] == "ticketauth.expiring":
        pass
    return bool(answer == {"type": "pong", "id": "open?"})


class TestExpiring:
    def test_it_comes_ahead_of_a_tokens_end(self, service: Service, forge: Forge) -> None:
        socket = _by_token(service, forge.token(sid=..., exp=int(time.time()) + 30))
        told = socket.json()
        assert (told["type"], told["reason"]) == ("ticketauth.expiring", "credential")
        assert 25 <= told["expires_in"] <= 30

    def test_it_comes_once(self, service: Service, forge: Forge) -> None:
        socket = _by_token(service, forge.token(sid=..., exp=int(time.time()) + 6))
        assert socket.json()["reason"] == "credential"
        assert socket.close_code()[0] == 4401

    def test_it_comes_ahead_of_a_logins_end(self, service: Service, owner: User, access: str) -> None:
        Login.objects.filter(user=owner).update(expires_at=timezone.now() + timedelta(seconds=30))
        assert _events(service, access).json()["reason"] == "credential"

    def test_it_does_not_come_where_the_login_was_refreshed(
        self, service: Service, tokens: dict[str, str], owner: User, settings: Any
    ) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "EXPIRY_NOTICE": 1}
        Login.objects.filter(user=owner).update(expires_at=timezone.now() + timedelta(seconds=5))
        socket = _events(service, tokens["access"])
        assert service.post("/api/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 200
        time.sleep(5)  # Past the end that was known at the handshake.
        socket.send('{"type": "ping", "id": "1"}')
        assert socket.json()["type"] == "pong"

    def test_it_comes_ahead_of_the_greatest_age(self, service: Service, access: str, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_MAX_AGE": 6, "EXPIRY_NOTICE": 5}
        socket = _events(service, access)
        told = socket.json()
        assert (told["type"], told["reason"]) == ("ticketauth.expiring", "age")
        assert 0 < told["expires_in"] <= 5
        assert socket.close_code()[0] == 4401

    def test_it_comes_ahead_of_the_end_of_idleness(self, service: Service, access: str, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_IDLE": 6}
        socket = _events(service, access)
        told = socket.json()
        assert (told["type"], told["reason"]) == ("ticketauth.expiring", "idle")
        assert 0 < told["expires_in"] <= 3
        assert _is_open(socket)
        assert socket.json()["reason"] == "idle"
        assert socket.close_code()[0] == 4401

    def test_who_does_not_speak_the_subprotocol_is_told_nothing(self, service: Service, forge: Forge) -> None:
        socket = _by_token(service, forge.token(sid=..., exp=int(time.time()) + 5), subprotocols=None)
        assert socket.close_code()[0] == 4401


class TestRenewal:
    def test_a_socket_lives_on_with_a_token_that_lives_longer(
        self, service: Service, forge: Forge, settings: Any
    ) -> None:
        # So that everybody is read again meanwhile, by the credential that counts now.
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_SWEEP": POLL}
        ends = int(time.time()) + 6
        socket = _by_token(service, forge.token(sid=..., exp=ends))
        assert socket.json()["type"] == "ticketauth.expiring"
        _renew(socket, service.ticket(forge.token(sid=..., exp=ends + 3600)))
        told = socket.json()
        assert told["type"] == "ticketauth.renewed"
        assert abs(datetime.fromisoformat(told["expires_at"]).timestamp() - ends - 3600) <= 1
        time.sleep(max(0.0, ends + 1 - time.time()))  # Past its end before.
        assert _is_open(socket)

    def test_the_next_end_is_announced_again(self, service: Service, forge: Forge) -> None:
        now = int(time.time())
        socket = _by_token(service, forge.token(sid=..., exp=now + 20))
        assert socket.json()["type"] == "ticketauth.expiring"
        _renew(socket, service.ticket(forge.token(sid=..., exp=now + 40)))
        assert [socket.json()["type"] for _ in range(2)] == ["ticketauth.renewed", "ticketauth.expiring"]

    def test_the_same_end_is_not(self, service: Service, forge: Forge) -> None:
        token = forge.token(sid=..., exp=int(time.time()) + 7)
        socket = _by_token(service, token)
        assert socket.json()["type"] == "ticketauth.expiring"
        _renew(socket, service.ticket(token))
        assert socket.json()["type"] == "ticketauth.renewed"
        assert socket.close_code()[0] == 4401

    def test_never_past_the_greatest_age(self, service: Service, access: str, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_MAX_AGE": 6, "EXPIRY_NOTICE": 0}
        socket = _events(service, access)
        _renew(socket, service.ticket(access))
        told = socket.json()
        assert datetime.fromisoformat(told["expires_at"]).timestamp() <= time.time() + 6
        assert socket.close_code()[0] == 4401

    def test_the_ticket_is_spent(self, service: Service, access: str) -> None:
        socket, ticket = _events(service, access), service.ticket(access)
        _renew(socket, ticket)
        assert socket.json()["type"] == "ticketauth.renewed"
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_a_logout_ends_what_was_renewed(self, service: Service, tokens: dict[str, str]) -> None:
        socket = _events(service, tokens["access"])
        _renew(socket, service.ticket(tokens["access"]))
        assert socket.json()["type"] == "ticketauth.renewed"
        service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert socket.close_code() == (4403, "forbidden")

    @pytest.mark.parametrize("whose", ["another user", "another login", "another path"])
    def test_anothers_ends_it(self, service: Service, owner: User, stranger: User, access: str, whose: str) -> None:
        socket = _events(service, access)
        ticket = {
            "another user": lambda: service.ticket(service.login(stranger)["access"]),
            "another login": lambda: service.ticket(service.login(owner)["access"]),
            "another path": lambda: service.ticket(access, "/ws/echo/"),
        }[whose]()
        _renew(socket, ticket)
        assert socket.close_code() == (4403, "forbidden")
        assert service.connect(f"ticket_uuid={ticket}").status == 401, "It is spent all the same."

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            ({}, "malformed"),
            ({"ticket_uuid": 7}, "malformed"),
            ({"ticket_uuid": "no ticket"}, "malformed"),
            ({"ticket_uuid": "0b1f8f04-6a4c-4d0b-9a53-6b6e0f8c8a0e", "more": 1}, "malformed"),
            ({"ticket_uuid": "0b1f8f04-6a4c-4d0b-9a53-6b6e0f8c8a0e"}, "not_authenticated"),
        ],
    )
    def test_what_is_no_ticket_is_refused_and_the_socket_stays(
        self, service: Service, access: str, frame: dict[str, Any], code: str
    ) -> None:
        socket = _events(service, access)
        socket.send(json.dumps({"type": "ticketauth.renew", **frame}))
        told = socket.json()
        assert (told["type"], told["code"]) == ("ticketauth.error", code)
        assert _is_open(socket)

    def test_without_redis_it_is_refused_and_the_socket_stays(
        self, service: Service, access: str, settings: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        socket, ticket = _events(service, access), service.ticket(access)
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}?db=0"}
        _renew(socket, ticket)
        told = socket.json()
        assert (told["type"], told["code"], told["retry_after"]) == ("ticketauth.error", "unavailable", 2)
        assert _is_open(socket)
        [record] = [record for record in caplog.records if record.getMessage().startswith("renew ")]
        assert record.levelname == "ERROR"

    def test_where_the_subprotocol_was_not_chosen_it_is_the_consumers(self, service: Service, access: str) -> None:
        socket = _events(service, access, subprotocols=None)
        _renew(socket, service.ticket(access))
        assert socket.json()["type"] == "error"

    def test_a_message_that_only_speaks_of_it_is_the_consumers(self, service: Service, access: str) -> None:
        socket = service.connect(f"ticket_uuid={service.ticket(access)}", subprotocols=V1)
        for text in ('{"type": "say", "text": "ticketauth.renew"}', "ticketauth.renew", "[" * 400 + "ticketauth.renew"):
            socket.send(text)
            assert socket.text() == text

    def test_it_is_logged_without_the_ticket(
        self, service: Service, access: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "ticketauth")
        socket, ticket = _events(service, access), service.ticket(access)
        _renew(socket, ticket)
        socket.json()
        assert "renew connection_id=" in caplog.text
        assert ticket not in caplog.text

    def test_a_replay_is_logged_as_one(self, service: Service, access: str, caplog: pytest.LogCaptureFixture) -> None:
        socket, ticket = _events(service, access), service.ticket(access)
        _renew(socket, ticket)
        assert socket.json()["type"] == "ticketauth.renewed"
        _renew(socket, ticket)
        assert socket.json()["code"] == "not_authenticated"
        (record,) = [record for record in caplog.records if getattr(record, "event", "") == "replay"]
        assert record.first_connection == record.connection_id  # type: ignore[attr-defined]


class TestLimits:
    """R41."""

    @pytest.mark.parametrize("path", ["/ws/echo/", "/ws/events/"])
    @pytest.mark.parametrize("message", ["a" * 1001, "ä" * 501, b"\0" * 1001])
    def test_a_message_that_is_too_large(
        self, service: Service, access: str, settings: Any, path: str, message: str | bytes
    ) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "MESSAGE_SIZE": 1000}
        socket = service.connect(f"ticket_uuid={service.ticket(access)}", path=path)
        if path == "/ws/events/":
            socket.json()
        socket.send(message)
        assert socket.close_code() == (1009, "too_big")

    @pytest.mark.parametrize("message", ["a" * 1000, "ä" * 500, b"\0" * 1000])
    def test_one_that_just_fits(self, service: Service, access: str, settings: Any, message: str | bytes) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "MESSAGE_SIZE": 1000}
        socket = service.connect(f"ticket_uuid={service.ticket(access)}")
        socket.send(message)
        assert socket.frame()[1] == (message.encode() if isinstance(message, str) else message)

    def test_too_many_messages(self, service: Service, access: str, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "MESSAGE_RATE": "5/min"}
        socket = service.connect(f"ticket_uuid={service.ticket(access)}")
        for number in range(6):
            socket.send(str(number))
        assert [socket.text() for _ in range(5)] == list("01234")
        assert socket.close_code() == (4429, '{"code":"too_many","retry_after":60}')

    def test_each_socket_has_its_own_rate(self, service: Service, access: str, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "MESSAGE_RATE": "5/min"}
        for _ in range(2):
            socket = service.connect(f"ticket_uuid={service.ticket(access)}")
            for number in range(5):
                socket.send(str(number))
            assert [socket.text() for _ in range(5)] == list("01234")

    def test_who_does_not_read_is_let_go(
        self, service: Service, access: str, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SEND_DEADLINE": 0.5}
        caplog.set_level(logging.INFO, "ticketauth")
        reading = service.connect(f"ticket_uuid={service.ticket(access)}")
        stuck = service.connect(f"ticket_uuid={service.ticket(access)}")
        _send_until_it_is_stuck(stuck)
        until(lambda: "reason=slow_reader" in caplog.text, 5)
        reading.send("still here")
        assert reading.text() == "still here"
        # What was on its way is still to be read; then comes the end, without another word.
        with suppress(EOFError, ConnectionResetError):
            while stuck.frame()[0] != CLOSE:
                pass


class Flood(AsyncWebsocketConsumer):
    """Sends more than anybody takes; says when it was told of the end, or that it could not go on."""

    told: ClassVar[threading.Event]
    failed: ClassVar[threading.Event]
    at: ClassVar[int]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            for number in range(int(text_data or "")):
                type(self).at = number
                await self.send(bytes_data=number.to_bytes(4) + b"\0" * 60_000)
        except ConnectionError:
            type(self).failed.set()
            raise

    async def disconnect(self, code: int) -> None:
        type(self).told.set()


@contextmanager
def behind(
    consumer: Any, service: Service, access: str, subprotocols: str | None = None, protocol: Any = "websockets-sansio"
) -> Iterator[Handshake]:
    """A socket of a consumer of one's own, under a server of one's own."""
    application = TicketAuthMiddlewareStack(consumer)
    served = in_a_server(app=application, port=0, ws=protocol, lifespan="off")
    target = f"/?ticket_uuid={service.ticket(access)}"
    with served as port, handshake(port, target, subprotocols=subprotocols) as socket:
        yield socket


@pytest.fixture
def flood(service: Service, access: str, settings: Any) -> Iterator[Handshake]:
    """A socket of a consumer that sends, to a client that does not read."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SEND_DEADLINE": 0.3}
    Flood.told, Flood.failed, Flood.at = threading.Event(), threading.Event(), 0
    with behind(Flood.as_asgi(), service, access) as socket:
        yield socket


def test_a_consumer_whose_client_does_not_read_goes_on_and_hears_of_the_end(flood: Handshake) -> None:
    flood.send("250")
    assert Flood.told.wait(15)


def test_a_consumer_that_sends_for_ever_is_stopped(
    flood: Handshake, service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "CLOSING_SECONDS", 1)
    flood.send("1000000000")
    assert Flood.failed.wait(15)
    assert "Exception in ASGI application" not in caplog.text


def test_what_waits_at_the_end_is_not_sent_after_it(flood: Handshake, owner: User, settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SEND_DEADLINE": 60.0}
    flood.send("1000000000")
    until(_stuck)
    waiting = Flood.at
    logins.end_all(owner)
    assert Flood.failed.wait(20)
    last = -1
    with suppress(EOFError, ConnectionResetError):
        while (frame := flood.frame())[0] != CLOSE:
            last = int.from_bytes(frame[1][:4])
    assert 0 < last < waiting


def _stuck() -> bool:
    """The server takes no more: it is still at the same message some looks later."""
    before = Flood.at
    for _ in range(8):
        time.sleep(0.2)
        if Flood.at != before:
            return False
    return before > 0


class Twice(AsyncWebsocketConsumer):
    """Two tasks send, and one of them is through at once; says when it was told of the end."""

    told: ClassVar[threading.Event]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        async def many() -> None:
            for _ in range(100):
                await self.send(bytes_data=b"\0" * 60_000)

        await asyncio.gather(*(many() for _ in range(5)))

    async def disconnect(self, code: int) -> None:
        type(self).told.set()


def test_tasks_that_send_side_by_side_are_all_let_go(service: Service, access: str, settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SEND_DEADLINE": 0.3}
    Twice.told = threading.Event()
    with behind(Twice.as_asgi(), service, access) as socket:
        socket.send("go")
        assert Twice.told.wait(30)


def test_a_consumer_that_takes_no_end_for_an_end_is_stopped(service: Service, access: str, settings: Any) -> None:
    """And takes nothing from the others of its loop meanwhile."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SEND_DEADLINE": 0.3}
    failed, beats = threading.Event(), []

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        sending = asyncio.create_task(_fill(send))
        try:
            while True:
                await receive()
                beats.append(time.monotonic())
        except ConnectionError:
            failed.set()
            raise
        finally:
            sending.cancel()

    with pytest.MonkeyPatch.context() as patch, behind(stubborn, service, access):
        patch.setattr(guard, "CLOSING_SECONDS", 1)
        assert failed.wait(20)
    assert len(beats) < 300


async def _fill(send: Any) -> None:
    with suppress(ConnectionError):
        while True:
            await send({"type": "websocket.send", "bytes": b"\0" * 60_000})


class Large(AsyncWebsocketConsumer):
    """Sends more at once than a peer takes, and waits; says when it was told of the end."""

    told: ClassVar[threading.Event]
    sent: ClassVar[threading.Event]
    busy: ClassVar[threading.Event]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(bytes_data=b"\0" * 20_000_000)
        self.sent.set()
        await asyncio.to_thread(self.busy.wait, 20)

    async def disconnect(self, code: int) -> None:
        self.told.set()


@pytest.fixture
def large() -> type[Large]:
    """It is not busy unless a test says so."""
    Large.told, Large.sent, Large.busy = threading.Event(), threading.Event(), threading.Event()
    Large.busy.set()
    return Large


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_consumer_hears_of_the_end_though_its_client_reads_nothing(
    large: type[Large], service: Service, access: str, owner: User, monkeypatch: pytest.MonkeyPatch, is_busy: bool
) -> None:
    monkeypatch.setattr(guard, "CLOSING_SECONDS", 1)
    if is_busy:
        large.busy.clear()
    with behind(large.as_asgi(), service, access) as socket:
        socket.send("go")
        assert large.sent.wait(10)
        logins.end_all(owner)
        if is_busy:
            time.sleep(3)  # The close frame is given up, which nothing says.
            large.busy.set()
        assert large.told.wait(15)


def test_a_client_that_has_said_its_last_and_reads_nothing_is_gone(
    large: type[Large], service: Service, access: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks it for a pong any more."""
    monkeypatch.setattr("config.protocol.CLOSING_SECONDS", 1)
    with behind(large.as_asgi(), service, access, protocol=WebSocketProtocol) as socket:
        socket.send("go")
        assert large.sent.wait(10)
        socket.connection.shutdown(SHUT_WR)
        assert large.told.wait(15)


def test_pieces_of_a_message_take_no_more_memory_than_they_hold(service: Service, access: str) -> None:
    """Empty ones count for no limit, and come without end."""
    socket = service.connect(f"ticket_uuid={service.ticket(access)}")
    first, piece, letter, last = (bytes([code, 0x80 | len(text), *b"\0\0\0\0"]) + text for code, text in PIECES)
    socket.connection.sendall(first + piece * 10_000 + letter * 1000 + piece * 10_000)
    socket.send("", opcode=PING)
    assert socket.frame()[0] == PONG
    protocols = [one for one in gc.get_objects() if type(one) is WebSocketProtocol]
    assert 0 < max(len(one.frames) for one in protocols) <= MOST_PIECES
    socket.connection.sendall(last)
    assert socket.text() == "a" * 1000


PIECES = [(0x01, b""), (0x00, b""), (0x00, b"a"), (0x80, b"")]
"""Opcodes, the last with FIN, and what they hold."""


def test_a_socket_that_ends_before_it_is_accepted_is_refused(
    service: Service, access: str, owner: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ticketauth")
    begun, go = threading.Event(), threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        begun.set()
        await asyncio.to_thread(go.wait, 20)
        await send({"type": "websocket.close"})

    def end() -> None:
        begun.wait(20)
        logins.end_all(owner)
        connection.close()
        until(lambda: "reason=login_revoked" in caplog.text)
        go.set()

    ending = threading.Thread(target=end)
    ending.start()
    with behind(slow, service, access) as socket:
        assert (socket.status, socket.problem["code"]) == (403, "forbidden")
    ending.join()


class TestHostileRenewal:
    def test_who_asks_and_does_not_read_is_told_little(self, service: Service, access: str, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "MESSAGE_RATE": "0", "SEND_DEADLINE": 60.0}
        before = len(guard._tasks)
        with behind(Flood.as_asgi(), service, access, subprotocols=V1) as socket:
            socket.send("1000000000")
            socket.connection.settimeout(1)
            with suppress(OSError):
                for _ in range(2000):
                    _renew(socket, "no ticket")
            assert len(guard._tasks) - before < 20

    def test_tickets_that_are_no_good_are_tried_some_times(self, service: Service, access: str) -> None:
        socket = _events(service, access)
        for _ in range(guard.MOST_REFUSED):
            _renew(socket, "no ticket")
            assert socket.json()["code"] == "malformed"
        _renew(socket, "no ticket")
        assert socket.close_code()[0] == 4429

    def test_a_renewal_that_fails_changes_nothing(self, service: Service, forge: Forge, settings: Any) -> None:
        """The socket goes on by its old credential, though the new one has ended."""
        ends = int(time.time()) + 5
        ticket = service.ticket(forge.token(sid=..., exp=ends))
        socket = _by_token(service, forge.token(sid=..., exp=ends + 3600))
        time.sleep(max(0.0, ends + 0.1 - time.time()))
        _renew(socket, ticket)
        assert socket.json()["type"] in {"ticketauth.error", "ticketauth.expiring"}
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_SWEEP": POLL}
        time.sleep(5 * POLL)  # Everybody is read again.
        assert _is_open(socket)


def _send_until_it_is_stuck(socket: Handshake) -> None:
    """Have it echoed what is never read, until nobody takes any more."""
    socket.connection.settimeout(0.5)
    with suppress(TimeoutError):
        while True:
            socket.send(b"\0" * 60_000)
    socket.connection.settimeout(10)
