"""Messages to users: to whom they go, and who may send them."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.conftest import PASSWORD, Service
from tests.sockets import TEXT, Handshake
from ticketauth import logins
from ticketauth.exceptions import Unavailable
from ticketauth.models import Login
from ticketauth.types import OURS, Identity, Sid, Subject
from ws.events import EVERYONE, PUBLISH_SECONDS, InvalidEvent, publish
from ws.frames import LARGEST_EVENT

EVENTS = "/api/events/"
NEWS = {"to": "everyone", "type": "news", "data": {"at": "noon"}}


def sid_of(pair: dict[str, str]) -> str:
    sid: str = jwt.decode(pair["access"], options={"verify_signature": False})["sid"]
    return sid


def listening(service: Service, pair: dict[str, str]) -> Handshake:
    """An open socket that is ready."""
    opened = service.connect(f"ticket_uuid={service.ticket(pair['access'])}", path="/ws/events/")
    assert opened.json()["type"] == "ticketauth.ready"
    return opened


def heard(opened: Handshake) -> list[Any]:
    """The data of all events that have come, and all that were published before."""
    async_to_sync(publish)(EVERYONE, "end", None)
    found = []
    while (event := opened.json())["event"] != "end":
        found.append(event["data"])
    return found


@pytest.fixture
def staff(service: Service) -> str:
    """An access token of somebody of the staff."""
    return service.login(User.objects.create_user("editor", password=PASSWORD, is_staff=True))["access"]


@pytest.fixture
def crowd(service: Service, tokens: dict[str, str], other, strangers) -> tuple[Handshake, Handshake, Handshake]:
    """A socket of each of the owner's two logins, and one of a stranger's."""
    first, second, third = (listening(service, pair) for pair in (tokens, other, strangers))
    return first, second, third


class TestAddressee:
    def test_a_user_on_all_sockets_and_nobody_else(self, owner: User, crowd) -> None:
        async_to_sync(publish)(owner, "news", 1)
        assert [heard(opened) for opened in crowd] == [[1], [1], []]

    def test_a_login_and_no_other_of_the_same_user(self, tokens: dict[str, str], crowd) -> None:
        async_to_sync(publish)(Login.objects.get(pk=sid_of(tokens)), "news", 1)
        assert [heard(opened) for opened in crowd] == [[1], [], []]

    async def test_a_login_whose_user_is_not_read_yet(self, tokens: dict[str, str], crowd) -> None:
        await publish(await Login.objects.aget(pk=sid_of(tokens)), "news", 1)
        assert crowd[0].json()["data"] == 1

    def test_everyone(self, crowd) -> None:
        async_to_sync(publish)(EVERYONE, "news", 1)
        assert [heard(opened) for opened in crowd] == [[1], [1], [1]]

    def test_an_identity(self, owner: User, crowd) -> None:
        async_to_sync(publish)(Identity(OURS, Subject(str(owner.pk))), "news", 1)
        assert [heard(opened) for opened in crowd] == [[1], [1], []]

    def test_nobody_is_connected(self, owner: User) -> None:
        async_to_sync(publish)(owner, "news", 1)

    def test_a_socket_without_a_login_is_the_users_but_no_logins(
        self, service: Service, owner: User, tokens: dict[str, str], forge
    ) -> None:
        opened = service.connect(path="/ws/events/", headers=[("Authorization", f"Bearer {forge.token(sid=...)}")])
        opened.json()
        async_to_sync(publish)(Login.objects.get(pk=sid_of(tokens)), "news", "to the login")
        async_to_sync(publish)(owner, "news", "to the user")
        assert heard(opened) == ["to the user"]

    def test_who_left_and_came_back(self, service: Service, owner: User, tokens: dict[str, str]) -> None:
        for number in range(20):
            opened = listening(service, tokens)
            async_to_sync(publish)(owner, "news", number)
            assert opened.json()["data"] == number
            opened.close()


class TestData:
    @pytest.mark.parametrize("data", [None, 2**70, "\u2028 \x00 ü", [[{"a": [1.5]}]], "x" * (LARGEST_EVENT - 45)])
    def test_whatever_json_has(self, owner: User, crowd, data: Any) -> None:
        async_to_sync(publish)(owner, "news", data)
        assert heard(crowd[0]) == [data]

    @pytest.mark.parametrize("data", [object(), "\ud800", "x" * LARGEST_EVENT, "ü" * (LARGEST_EVENT // 2)])
    async def test_what_cannot_be_sent_is_told_to_the_sender(self, owner: User, data: Any) -> None:
        with pytest.raises(InvalidEvent, match=f"JSON|{LARGEST_EVENT} is the most"):
            await publish(owner, "news", data)

    async def test_a_type_is_a_text(self, owner: User) -> None:
        with pytest.raises(InvalidEvent, match="not 7"):
            await publish(owner, 7, None)  # type: ignore[arg-type]


def test_a_socket_that_was_revoked_gets_nothing_more(service: Service, owner: User, tokens, other, settings) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 0.1}
    ended, kept = listening(service, tokens), listening(service, other)
    logins.end(Sid(sid_of(tokens)))
    sent = 0
    while not sent or ended.frame()[0] == TEXT:
        async_to_sync(publish)(owner, "news", sent)
        sent += 1
    # That was its close frame; and after what is published now, comes the end of the connection.
    async_to_sync(publish)(owner, "news", "last")
    assert heard(kept) == [*range(sent), "last"]
    ended.connection.settimeout(20)
    ended.send(b"", 8)
    with pytest.raises(EOFError):
        ended.frame()


class TestEndpoint:
    """`POST /api/events/`."""

    def test_everyone(self, service: Service, staff: str, crowd) -> None:
        answer = service.post(EVENTS, NEWS, staff)
        assert (answer.status_code, answer.content) == (202, b"")
        assert [opened.json() for opened in crowd] == [{"type": "event", "event": "news", "data": {"at": "noon"}}] * 3

    def test_a_user(self, service: Service, staff: str, owner: User, crowd) -> None:
        assert service.post(EVENTS, {**NEWS, "to": {"user": str(owner.pk)}}, staff).status_code == 202
        assert [len(heard(opened)) for opened in crowd] == [1, 1, 0]

    def test_a_login(self, service: Service, staff: str, tokens: dict[str, str], crowd) -> None:
        assert service.post(EVENTS, {**NEWS, "to": {"sid": sid_of(tokens)}}, staff).status_code == 202
        assert [len(heard(opened)) for opened in crowd] == [1, 0, 0]

    @pytest.mark.parametrize("name", ["0", "nobody", "9" * 255])
    def test_an_unknown_user_is_404(self, service: Service, staff: str, name: str) -> None:
        assert service.post(EVENTS, {**NEWS, "to": {"user": name}}, staff).status_code == 404

    def test_an_unknown_login_is_404(self, service: Service, staff: str) -> None:
        assert service.post(EVENTS, {**NEWS, "to": {"sid": "unknown"}}, staff).status_code == 404

    @pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
    def test_a_login_that_is_over_is_404(self, service: Service, staff: str, tokens: dict[str, str], end: str) -> None:
        Login.objects.filter(pk=sid_of(tokens)).update(**{end: timezone.now()})
        assert service.post(EVENTS, {**NEWS, "to": {"sid": sid_of(tokens)}}, staff).status_code == 404

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"to": ...}, "to"),
            ({"to": "somebody"}, "to"),
            ({"to": {}}, "to"),
            ({"to": ["everyone"]}, "to"),
            ({"to": {"user": "1", "sid": "a"}}, "to"),
            ({"to": {"user": 1}}, "to"),
            ({"to": {"sid": ""}}, "to"),
            ({"to": {"user": "x" * 256}}, "to"),
            ({"type": ...}, "type"),
            ({"type": 1}, "type"),
            ({"type": ""}, "type"),
            ({"type": "x" * 101}, "type"),
            ({"data": ...}, "data"),
            ({"data": "x" * LARGEST_EVENT}, "data"),
            ({"data": "\ud800"}, "data"),
            ({"date": 1}, "date"),
        ],
    )
    def test_a_field_that_is_wrong_is_400_and_named(
        self, service: Service, staff: str, change: dict[str, Any], field: str
    ) -> None:
        body = {name: value for name, value in {**NEWS, **change}.items() if value is not ...}
        answer = service.post(EVENTS, body, staff) if change != {"data": "\ud800"} else surrogate(service, staff)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
        assert list(answer.json()["errors"]) == [field]

    def test_nobody_is_401(self, service: Service) -> None:
        assert service.post(EVENTS, NEWS).status_code == 401

    def test_who_is_no_staff_is_403_whatever_the_body(self, service: Service, access: str) -> None:
        answers = [service.post(EVENTS, body, access) for body in (NEWS, {}, {**NEWS, "to": {"user": "0"}})]
        assert [answer.status_code for answer in answers] == [403] * 3

    def test_a_session_of_the_staff_needs_the_csrf_token(self, service: Service, crowd) -> None:
        client = Client(enforce_csrf_checks=True, headers={"host": "sockets.example"})
        client.force_login(User.objects.create_user("editor", is_staff=True))
        answer = client.post(EVENTS, NEWS, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        client.get("/login/")
        client.cookies["csrftoken"] = token = "a" * 32
        answer = client.post(EVENTS, NEWS, content_type="application/json", headers={"X-CSRFToken": token})
        assert answer.status_code == 202
        assert heard(crowd[0]) == [{"at": "noon"}]

    def test_it_is_logged_without_the_data(self, service: Service, staff: str, caplog) -> None:
        caplog.set_level(logging.INFO, "ticketauth")
        assert service.post(EVENTS, {**NEWS, "data": "between us"}, staff).status_code == 202
        (line,) = (record.getMessage() for record in caplog.records if record.getMessage().startswith("publish "))
        assert "outcome=done" in line
        assert "to=everyone type=news" in line
        assert "between us" not in caplog.text

    def test_a_refusal_is_logged(self, service: Service, access: str, caplog) -> None:
        service.post(EVENTS, NEWS, access)
        assert "publish outcome=refused reason=permission_denied" in caplog.text


def surrogate(service: Service, staff: str) -> httpx.Response:
    """No JSON library writes it, and Python's reads it."""
    headers = {"Authorization": f"Bearer {staff}", "Content-Type": "application/json"}
    content = rb'{"to": "everyone", "type": "news", "data": "\ud800"}'
    return service.http.post(EVENTS, content=content, headers=headers)


@pytest.fixture(params=["dead", "silent"])
def layer_fails(request: pytest.FixtureRequest, settings) -> Iterator[None]:
    """The channel layer's Redis is gone, or takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        layer = settings.CHANNEL_LAYERS["default"]
        host = {**layer["CONFIG"]["hosts"][0], "address": f"redis://127.0.0.1:{server.getsockname()[1]}"}
        settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [host]}}}
        if request.param == "dead":
            server.close()
        yield


class TestLayerFails:
    def test_the_endpoint_says_so_in_time(self, service: Service, staff: str, layer_fails: None) -> None:
        began = time.monotonic()
        answer = service.post(EVENTS, NEWS, staff)
        assert time.monotonic() - began < PUBLISH_SECONDS + 1
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1

    async def test_the_function_says_so(self, layer_fails: None) -> None:
        with pytest.raises(Unavailable):
            await publish(EVERYONE, "news", 1)
