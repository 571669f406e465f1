"""What a project adds: claims, signals, commands, classes of its own."""

from __future__ import annotations

import io
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import AsyncClient, Client, RequestFactory
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.throttling import BaseThrottle

from ticketauth import logins, testing
from ticketauth.exceptions import Misconfigured
from ticketauth.middleware import TicketAuthMiddlewareStack
from ticketauth.models import Login
from ticketauth.signals import ticket_consumed, ticket_issued, ticket_refused
from ticketauth.testing import Refused, connect, ticket_for
from ticketauth.views import TicketView

MIRROR = "/ws/mirror/"


def room(request: Any, identity: Any) -> dict[str, Any]:
    return {"room": request.data["room"], "for": identity.subject}


async def asynchronous_room(request: Any, identity: Any) -> dict[str, Any]:
    return room(request, identity)


def too_much(request: Any, identity: Any) -> dict[str, Any]:
    return {"much": "x" * 5000}


def choosy(request: Any, identity: Any) -> dict[str, Any]:
    raise ValidationError("Not today.")


async def of_whom(request: Any, identity: Any) -> dict[str, Any]:
    return {"of": request.user.get_username()}


def bearer(user: User) -> dict[str, str]:
    return {"authorization": f"Bearer {logins.start(user).access_token}"}


def issue(user: User, body: dict[str, Any] | None = None) -> Any:
    return Client().post("/api/tickets/", body or {}, content_type="application/json", headers=bearer(user))


class TestClaims:
    @pytest.mark.parametrize("name", ["room", "asynchronous_room"])
    def test_a_callable_adds_them(self, owner, routes, settings, name: str) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_CLAIMS": f"{__name__}.{name}"}
        ticket = issue(owner, {"room": 7}).json()["ticket_uuid"]

        async def found() -> Any:
            async with connect(TicketAuthMiddlewareStack(routes), MIRROR, ticket=ticket) as socket:
                return await socket.receive_json_from()

        assert async_to_sync(found)()["claims"] == {"room": 7, "for": str(owner.pk)}

    def test_a_callable_may_refuse(self, owner, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_CLAIMS": f"{__name__}.choosy"}
        answer = issue(owner)
        assert (answer.status_code, answer.json()["errors"]) == (400, {"non_field_errors": ["Not today."]})

    def test_a_coroutine_may_ask_who_a_guest_is(self, transactional_db: None, settings) -> None:
        claims = {"TICKET_CLAIMS": f"{__name__}.of_whom", "GUEST_TICKETS": True}
        settings.TICKETAUTH = {**settings.TICKETAUTH, **claims}
        assert Client().post("/api/tickets/", content_type="application/json").status_code == 201

    def test_too_many_are_a_fault_of_the_project(self, owner, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_CLAIMS": f"{__name__}.too_much"}
        with pytest.raises(Misconfigured, match="4096"):
            issue(owner)


class TestSignals:
    @pytest.fixture
    def heard(self):
        heard: list[tuple[str, dict[str, Any]]] = []
        signals = {"issued": ticket_issued, "consumed": ticket_consumed, "refused": ticket_refused}
        receivers = {
            name: lambda name=name, **facts: heard.append((name, facts)) for name in signals
        }  # fmt: skip
        for name, signal in signals.items():
            signal.connect(receivers[name])
        yield heard
        for name, signal in signals.items():
            signal.disconnect(receivers[name])

    def test_issued_consumed_refused(self, owner, routes, heard) -> None:
        ticket = issue(owner).json()["ticket_uuid"]

        async def use() -> None:
            application = TicketAuthMiddlewareStack(routes)
            async with connect(application, MIRROR, ticket=ticket):
                pass
            with pytest.raises(Refused):
                await testing.TicketCommunicator(application, f"{MIRROR}?ticket_uuid={ticket}").open()

        async_to_sync(use)()
        assert [name for name, _ in heard] == ["issued", "consumed", "refused"]
        assert heard[0][1]["identity"].subject == str(owner.pk)
        assert heard[2][1]["reason"] == "replay"
        assert ticket not in repr(heard)

    def test_a_receiver_that_fails_disturbs_nobody(self, owner, caplog) -> None:
        def fails(**facts: Any) -> None:
            raise RuntimeError("the receiver's fault")

        ticket_issued.connect(fails)
        try:
            assert issue(owner).status_code == 201
        finally:
            ticket_issued.disconnect(fails)
        assert "the receiver's fault" in caplog.text


class TestCommands:
    def test_ticket_prints_one_and_an_address(self, owner, routes) -> None:
        out, err = io.StringIO(), io.StringIO()
        call_command("ticket", "owner", url="wss://example.com", stdout=out, stderr=err)
        ticket = out.getvalue().strip()
        assert f"wss://example.com/ws/events/?ticket_uuid={ticket}" in err.getvalue()

        async def use() -> None:
            async with connect(TicketAuthMiddlewareStack(routes), MIRROR, ticket=ticket):
                pass

        async_to_sync(use)()

    def test_ticket_for_a_path(self, owner, routes) -> None:
        out, err = io.StringIO(), io.StringIO()
        call_command("ticket", "owner", path="/ws/events/", stdout=out, stderr=err)
        assert f"wss://sockets.example/ws/events/?ticket_uuid={out.getvalue().strip()}" in err.getvalue()

    @pytest.mark.parametrize("path", ["/nope/", "nope", "/ws/echo/?x=1"])
    def test_ticket_for_no_path(self, owner, path: str) -> None:
        with pytest.raises(CommandError, match="--path"):
            call_command("ticket", "owner", path=path)

    def test_ticket_for_nobody(self, transactional_db) -> None:
        with pytest.raises(CommandError, match="There is no user 'nobody'"):
            call_command("ticket", "nobody")

    def test_ticket_without_a_server(self, owner, settings, tmp_path) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": f"unix://{tmp_path}/nobody"}
        with pytest.raises(CommandError, match="redis_unreachable"):
            call_command("ticket", "owner")

    def test_clearlogins_counts(self, owner) -> None:
        logins.start(owner)
        Login.objects.update(expires_at="2020-01-01T00:00:00Z")
        out = io.StringIO()
        call_command("clearlogins", stdout=out)
        assert out.getvalue() == "Deleted 1 logins and 0 revocations.\n"


class KeyAuthentication(BaseAuthentication):
    """A class that knows nothing of tickets."""

    def authenticate(self, request: Any) -> Any:
        key = request.META.get("HTTP_X_KEY")
        return (User.objects.get(username=key), None) if key else None


class KeyTicketView(TicketView):
    """What a project writes to let other credentials ask."""

    authentication_classes = (KeyAuthentication,)


class Known(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return bool(User.objects.filter(pk=request.user.pk, is_staff=True).exists())


class Never(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        return False


class TestOtherAuthentication:
    def _post(self, view_class: type[TicketView] = KeyTicketView, **kwargs: Any) -> Any:
        view: Any = view_class.as_view()
        return async_to_sync(view)(RequestFactory().post("/", content_type="application/json", **kwargs))

    def test_a_class_of_the_projects_own(self, owner) -> None:
        assert self._post(headers={"x-key": "owner"}).status_code == 201

    def test_nobody_without_it(self, owner) -> None:
        assert self._post().status_code == 401

    def test_its_permissions_count(self, owner) -> None:
        class StaffTicketView(KeyTicketView):
            permission_classes = (Known,)

        assert self._post(StaffTicketView, headers={"x-key": "owner"}).status_code == 403
        User.objects.update(is_staff=True)
        assert self._post(StaffTicketView, headers={"x-key": "owner"}).status_code == 201

    def test_its_throttles_count(self, owner) -> None:
        class ThrottledTicketView(KeyTicketView):
            throttle_classes = (Never,)

        assert self._post(ThrottledTicketView, headers={"x-key": "owner"}).status_code == 429


class TestServers:
    def test_under_wsgi(self, owner) -> None:
        assert issue(owner).status_code == 201

    async def test_under_asgi(self, owner) -> None:
        from channels.db import database_sync_to_async

        headers = await database_sync_to_async(bearer)(owner)
        answer = await AsyncClient().post("/api/tickets/", {}, content_type="application/json", headers=headers)
        assert answer.status_code == 201


class TestMemoryStore:
    def test_a_unit_test_needs_no_server(self, owner, routes, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "STORE": "ticketauth.stores.memory.MemoryStore"}

        async def use() -> None:
            application = TicketAuthMiddlewareStack(routes)
            ticket = await ticket_for(owner)
            async with connect(application, MIRROR, ticket=ticket):
                pass
            with pytest.raises(Refused):
                await testing.TicketCommunicator(application, f"{MIRROR}?ticket_uuid={ticket}").open()

        async_to_sync(use)()
