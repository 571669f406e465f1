"""R36 to R40: live sockets end when they should, and only then."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests.conftest import Forge, Service
from tests.sockets import Handshake
from ticketauth import conf, logins, tickets, users
from ticketauth.middleware import TicketAuthMiddlewareStack
from ticketauth.models import Login, Revocation
from ticketauth.testing import connect
from ticketauth.types import OURS, Identity, Sid, Ticket

POLL = 0.2
GOOD = "https://good.example"


@pytest.fixture(autouse=True)
def _often(settings: Any) -> None:
    """The questions come often; their order and their answers are the same."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": POLL, "REVOCATION_SWEEP": 60.0}


def _socket(service: Service, access: str, path: str = "/ws/events/") -> Handshake:
    socket = service.connect(f"ticket_uuid={service.ticket(access)}", path=path)
    assert socket.accepted
    if path == "/ws/events/":
        assert socket.json()["type"] == "ticketauth.ready"
    return socket


def _is_open(socket: Handshake) -> bool:
    """An answer comes back, behind whatever was sent before."""
    socket.send('{"type": "ping", "id": "open?"}')
    return socket.json() == {"type": "pong", "id": "open?"}


def test_logout_closes_the_sockets_of_the_login_and_no_other(service: Service, owner: User) -> None:
    phone, laptop = service.login(owner), service.login(owner)
    sockets = [_socket(service, phone["access"]) for _ in range(3)]
    other = _socket(service, laptop["access"])
    assert service.post("/api/token/logout/", {"refresh": phone["refresh"]}).status_code == 204
    assert [socket.close_code() for socket in sockets] == [(4403, "forbidden")] * 3
    assert _is_open(other)


def test_a_refresh_closes_nothing(service: Service, tokens: dict[str, str]) -> None:
    socket = _socket(service, tokens["access"])
    assert service.post("/api/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 200
    time.sleep(3 * POLL)  # Nothing is to happen: there is no event to wait for.
    assert _is_open(socket)


def test_a_session_that_ends_closes_its_sockets(service: Service, owner: User) -> None:
    browser = Client()
    browser.force_login(owner)
    cookie = f"sessionid={browser.cookies['sessionid'].value}"
    socket = service.connect(path="/ws/events/", cookie=cookie, origin=GOOD)
    socket.json()
    browser.logout()
    assert socket.close_code()[0] == 4403


def _deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def _change_password(user: User) -> None:
    user.set_password("another")
    User.objects.filter(pk=user.pk).update(password=user.password)


def _delete_logins(user: User) -> None:
    Login.objects.filter(user=user).delete()


@pytest.mark.parametrize("change", [_deactivate, _change_password, _delete_logins, User.delete])
def test_what_sends_no_message_is_found_by_reading_everybody_again(
    service: Service, owner: User, access: str, settings: Any, change: Callable[[User], Any]
) -> None:
    socket = _socket(service, access)
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_SWEEP": POLL}
    change(owner)
    assert socket.close_code()[0] == 4403


def test_a_revocation_of_a_subject_closes_sockets_without_a_login(service: Service, owner: User, forge: Forge) -> None:
    socket = service.connect(path="/ws/events/", headers=[("Authorization", f"Bearer {forge.token(sid=...)}")])
    socket.json()
    now = timezone.now()
    Revocation.objects.create(issuer="", subject=str(owner.pk), revoked_at=now, expires_at=now)
    assert socket.close_code()[0] == 4403


def test_a_token_without_a_login_closes_its_socket_when_it_expires(service: Service, forge: Forge) -> None:
    token, ends = forge.token(sid=..., exp=int(time.time()) + 5), time.monotonic() + 5
    socket = service.connect(path="/ws/events/", headers=[("Authorization", f"Bearer {token}")])
    socket.json()
    assert socket.close_code() == (4401, "not_authenticated")
    assert time.monotonic() < ends + 1


def test_a_login_closes_its_sockets_at_its_end(service: Service, owner: User, access: str) -> None:
    Login.objects.filter(user=owner).update(expires_at=timezone.now() + timedelta(seconds=5))
    socket = _socket(service, access)
    assert socket.close_code()[0] == 4401


def test_a_login_that_is_prolonged_keeps_its_sockets(service: Service, owner: User, access: str) -> None:
    Login.objects.filter(user=owner).update(expires_at=timezone.now() + timedelta(seconds=5))
    socket = _socket(service, access)
    Login.objects.filter(user=owner).update(expires_at=timezone.now() + timedelta(hours=1))
    time.sleep(5)  # Past the end that was known at the handshake.
    assert _is_open(socket)


def test_a_socket_ends_at_its_greatest_age(service: Service, access: str, settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_MAX_AGE": 5}
    socket = _socket(service, access)
    assert socket.close_code()[0] == 4401


class Chatterbox(AsyncWebsocketConsumer):
    """Sends for as long as it can, and has no time to hear that it is over."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        for number in range(1000):
            await self.send(str(number))
            await asyncio.sleep(0.01)


@pytest.mark.django_db(transaction=True)
async def test_a_busy_consumer_sends_nothing_after_the_end(owner: User) -> None:
    """R40. A group message would reach it when it is done."""
    pair = await sync_to_async(logins.start)(owner)
    identity = Identity(OURS, users.subject_of(owner), Sid(pair["sid"]))
    ticket = await tickets.issue(conf.store(), Ticket(identity), ttl=30)
    async with connect(TicketAuthMiddlewareStack(Chatterbox.as_asgi()), "/", ticket=ticket.value) as socket:
        await socket.send_to(text_data="go")
        assert await socket.receive_from() == "0"
        await sync_to_async(logins.end)(Sid(pair["sid"]))
        while (message := await socket.receive_output(timeout=5))["type"] != "websocket.close":
            assert message["type"] == "websocket.send"
        assert message["code"] == 4403
        assert await socket.receive_nothing(timeout=0.2)


@pytest.fixture
def racers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_nobody_slips_in_while_the_login_ends(service: Service, owner: User, racers: ThreadPoolExecutor) -> None:
    """R39: the guard watches before the user is read for the last time."""
    left: list[Handshake] = []
    for _ in range(20):
        pair = service.login(owner)
        tickets = [service.ticket(pair["access"]) for _ in range(4)]
        start = threading.Barrier(5)

        def connect(ticket: str, start: threading.Barrier = start) -> Handshake:
            start.wait()
            return service.connect(f"ticket_uuid={ticket}", path="/ws/echo/")

        def log_out(sid: str, start: threading.Barrier = start) -> None:
            start.wait()
            logins.end(Sid(sid))
            connection.close()

        sid = Login.objects.filter(user=owner).latest("created_at").sid
        ended = racers.submit(log_out, sid)
        left += [socket for socket in racers.map(connect, tickets) if socket.accepted]
        ended.result()
    for socket in left:
        assert socket.close_code()[0] == 4403
