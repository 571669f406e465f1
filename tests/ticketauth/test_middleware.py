"""The middleware around a stranger's Channels application."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.auth.models import User
from django.test import Client
from django.urls import path, re_path

from ticketauth import hub, logins, permissions, tickets
from ticketauth import middleware as stacks
from ticketauth.conf import store
from ticketauth.exceptions import Misconfigured
from ticketauth.middleware import TicketAuthMiddleware
from ticketauth.routing import resolves
from ticketauth.schemes.jwt import JWTCookie, JWTHeader, JWTQuery
from ticketauth.schemes.session import Session
from ticketauth.schemes.ticket import TicketHeader, TicketQuery, TicketSubprotocol
from ticketauth.testing import Refused, TicketCommunicator, connect, ticket_for
from ticketauth.types import GUEST, Ticket
from ticketauth.wire import SUBPROTOCOL

GOOD = (b"origin", b"https://good.example")
MIRROR = "/ws/mirror/"


async def told(application: Any, path: str = MIRROR, **kwargs: Any) -> dict[str, Any]:
    """What the consumer found in its scope."""
    async with connect(application, path, **kwargs) as socket:
        found: dict[str, Any] = await socket.receive_json_from()
        return found


async def status(application: Any, path: str = MIRROR, **kwargs: Any) -> int | None:
    """How it was refused."""
    with pytest.raises(Refused) as refused:
        await told(application, path, **kwargs)
    return refused.value.status or refused.value.code


def access_token(user: User) -> str:
    return str(logins.start(user).access_token)


async def test_who_still_renews_when_the_consumer_is_gone_is_watched_by_nobody(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewing = asyncio.Event()

    async def hangs(user: Any, path: str) -> None:
        renewing.set()
        await asyncio.Event().wait()

    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        reading = asyncio.create_task(receive())
        await renewing.wait()
        reading.cancel()

    application = TicketAuthMiddleware(hasty, [TicketQuery()])
    async with connect(application, MIRROR, ticket=await ticket_for(owner), subprotocols=[SUBPROTOCOL]) as socket:
        monkeypatch.setattr(permissions, "check", hangs)
        await socket.send_json_to({"type": "ticketauth.renew", "ticket_uuid": await ticket_for(owner)})
        await socket.wait()
        await asyncio.sleep(0.05)
    assert not list((await hub.of_this_loop.get())._all())


class TestScope:
    async def test_the_user_and_the_claims(self, routes, owner) -> None:
        ticket = await ticket_for(owner, claims={"room": 7})
        found = await told(stacks.TicketAuthMiddlewareStack(routes), ticket=ticket)
        assert (found["user"], found["claims"], found["scheme"]) == ("owner", {"room": 7}, "ticket_query")

    async def test_the_query_is_without_the_ticket(self, routes, owner) -> None:
        ticket = await ticket_for(owner)
        found = await told(stacks.TicketAuthMiddlewareStack(routes), f"{MIRROR}?a=1&ticket_uuid={ticket}&b=%20")
        assert found["query"] == "a=1&b=%20"
        assert ticket not in found["all"]

    async def test_the_subprotocol_is_without_the_ticket(self, routes, owner) -> None:
        ticket = await ticket_for(owner)
        offers = ["chat", f"ticketauth.ticket.{ticket}"]
        headers = [(b"sec-websocket-protocol", ", ".join(offers).encode()), (b"x-other", b"1")]
        found = await told(stacks.TicketAuthMiddlewareStack(routes), headers=headers, subprotocols=offers)
        assert found["subprotocols"] == ["chat"]
        assert found["headers"] == [["x-other", "1"], ["sec-websocket-protocol", "chat"]]
        assert ticket not in found["all"]

    async def test_the_headers_are_without_the_credential(self, routes, owner) -> None:
        token = await database_sync_to_async(access_token)(owner)
        headers = [(b"authorization", f"Bearer {token}".encode()), (b"x-other", b"1")]
        found = await told(TicketAuthMiddleware(routes, [JWTHeader()]), headers=headers)
        assert found["headers"] == [["x-other", "1"]]
        assert token not in found["all"]

    async def test_the_cookies_are_without_the_credential(self, routes, owner) -> None:
        token = await database_sync_to_async(access_token)(owner)
        headers = [(b"cookie", f'a="1"; access_token={token}; b=2'.encode()), GOOD]
        found = await told(stacks.TicketOrJWTCookieAuthMiddlewareStack(routes), headers=headers)
        assert ["cookie", 'a="1"; b=2'] in found["headers"]
        assert token not in found["all"]

    async def test_anonymous_where_the_route_allows_it(self, routes, transactional_db) -> None:
        found = await told(TicketAuthMiddleware(routes, [TicketQuery()], required=False))
        assert (found["user"], found["claims"], found["scheme"]) == ("", None, "")

    async def test_other_scopes_pass(self) -> None:
        seen = []

        async def inner(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope)

        await TicketAuthMiddleware(inner)({"type": "http"}, None, None)  # type: ignore[arg-type]
        assert seen == [{"type": "http"}]


class TestStart:
    """An ASGI server runs no system checks."""

    @pytest.mark.parametrize("given", [{"TICKET_TTL": 3600}, {"TICKET_TLL": 30}, {"SCHEMES": ["nope.Scheme"]}])
    def test_what_cannot_work_does_not_start(self, routes, settings, given: dict[str, Any]) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, **given}
        with pytest.raises(Misconfigured):
            TicketAuthMiddleware(routes)


class TestRequired:
    async def test_anonymous_is_refused(self, routes, transactional_db) -> None:
        assert await status(TicketAuthMiddleware(routes)) == 401

    async def test_a_bad_credential_is_refused_where_anonymous_is_allowed(self, routes, transactional_db) -> None:
        application = TicketAuthMiddleware(routes, [TicketQuery()], required=False)
        assert await status(application, ticket="00000000-0000-4000-8000-000000000000") == 401

    @pytest.mark.parametrize(("required", "expected"), [(True, 401), (False, None)])
    async def test_a_guest_ticket(self, routes, transactional_db, required: bool, expected: int | None) -> None:
        ticket = (await tickets.issue(store(), Ticket(GUEST), ttl=30)).value
        application = TicketAuthMiddleware(routes, [TicketQuery()], required=required)
        if expected:
            assert await status(application, ticket=ticket) == expected
        else:
            assert (await told(application, ticket=ticket))["user"] == ""


class TestStacks:
    async def test_ticket_or_session(self, routes, owner) -> None:
        application = stacks.TicketOrSessionAuthMiddlewareStack(routes)
        client = Client()
        await database_sync_to_async(client.force_login)(owner)
        cookie = (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())
        by_session = await told(application, headers=[cookie, GOOD])
        by_ticket = await told(application, ticket=await ticket_for(owner))
        assert (by_session["user"], by_session["scheme"], by_session["session"]) == ("owner", "session", True)
        assert (by_ticket["user"], by_ticket["scheme"], by_ticket["session"]) == ("owner", "ticket_query", True)
        assert await status(application, headers=[cookie]) == 403

    async def test_jwt_query_or_session(self, routes, owner, settings) -> None:
        application = stacks.JWTQueryOrSessionAuthMiddlewareStack(routes)
        token = await database_sync_to_async(access_token)(owner)
        assert await status(application, f"{MIRROR}?token={token}") == 401
        settings.TICKETAUTH = {**settings.TICKETAUTH, "JWT_QUERY": True}
        assert (await told(application, f"{MIRROR}?token={token}"))["scheme"] == "jwt_query"

    async def test_a_stack_takes_no_other_scheme(self, routes, owner) -> None:
        token = await database_sync_to_async(access_token)(owner)
        headers = [(b"authorization", f"Bearer {token}".encode())]
        assert await status(stacks.TicketAuthMiddlewareStack(routes), headers=headers) == 401

    async def test_the_scheme_of_a_strangers_own(self, routes, owner) -> None:
        """What CONTRIBUTING tells to write."""

        class Letter(TicketQuery):
            name = "letter"

            def presented(self, opening):
                return opening.header("x-letter")

        ticket = await ticket_for(owner)
        headers = [(b"x-letter", ticket.encode())]
        assert (await told(TicketAuthMiddleware(routes, [Letter()]), headers=headers))["scheme"] == "letter"


class TestSubprotocol:
    async def test_the_consumers_choice_stands(self, routes, owner) -> None:
        ticket = await ticket_for(owner)
        socket = TicketCommunicator(
            stacks.TicketAuthMiddlewareStack(routes),
            f"/ws/chat/?ticket_uuid={ticket}",
            subprotocols=["ticketauth.v1", "chat"],
        )
        assert await socket.open() == "chat"
        await socket.disconnect()


class TestRouting:
    def test_nested_and_middleware_in_between(self, routes) -> None:
        application = ProtocolTypeRouter({"websocket": stacks.TicketOrSessionAuthMiddlewareStack(routes)})
        assert resolves(application, "/ws/nested/deep/7/")
        assert not resolves(application, "/ws/nested/deep/x/")
        assert not resolves(application, "/ws/nested/")
        assert not resolves(ProtocolTypeRouter({}), "/ws/mirror/")

    def test_regular_expressions(self) -> None:
        async def answers(scope: Any, receive: Any, send: Any) -> None:
            """Never called."""

        routes: Any = answers
        application = URLRouter([re_path(r"^ws/(?P<room>[a-z]+)/$", routes), path("x/", routes)])
        assert resolves(application, "/ws/abc/")
        assert not resolves(application, "/ws/123/")
        assert resolves(application, "/x/")

    def test_what_is_no_router_answers_everything(self, routes) -> None:
        assert resolves(object(), "/anything")

    async def test_a_root_path_is_left_out(self, routes, owner) -> None:
        ticket = await ticket_for(owner, path="/ws/mirror/")
        socket = TicketCommunicator(stacks.TicketAuthMiddlewareStack(routes), f"/root/ws/mirror/?ticket_uuid={ticket}")
        socket.scope["root_path"] = "/root"
        await socket.open()
        await socket.disconnect()

    async def test_an_unknown_path_spends_nothing(self, routes, owner) -> None:
        ticket = await ticket_for(owner)
        assert await status(stacks.TicketAuthMiddlewareStack(routes), "/ws/other/", ticket=ticket) == 404
        assert (await told(stacks.TicketAuthMiddlewareStack(routes), ticket=ticket))["user"] == "owner"


class TestRefusing:
    async def test_without_the_denial_extension_it_closes(self, routes, transactional_db) -> None:
        socket = TicketCommunicator(stacks.TicketAuthMiddlewareStack(routes), MIRROR, denial=False)
        with pytest.raises(Refused) as refused:
            await socket.open()
        assert refused.value.code == 4401

    async def test_two_origins(self, routes, owner) -> None:
        application = stacks.TicketAuthMiddlewareStack(routes)
        assert await status(application, headers=[GOOD, GOOD], ticket=await ticket_for(owner)) == 403

    async def test_a_fault_of_ours_lets_nobody_in(self, routes, owner, caplog) -> None:
        class Broken(TicketQuery):
            async def authenticate(self, credential, opening):
                raise RuntimeError("a bug")

        application = TicketAuthMiddleware(routes, [Broken()])
        assert await status(application, ticket=await ticket_for(owner)) == 503
        assert "a bug" in caplog.text

    async def test_a_scheme_that_gives_nothing_lets_nobody_in(self, routes, owner) -> None:
        class Empty(TicketQuery):
            async def authenticate(self, credential, opening):
                return None

        assert await status(TicketAuthMiddleware(routes, [Empty()]), ticket=await ticket_for(owner)) == 503

    async def test_a_dependency_on_daphne_is_4503(self, routes, owner, settings, tmp_path) -> None:
        ticket = await ticket_for(owner)
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": f"unix://{tmp_path}/nobody"}
        socket = TicketCommunicator(
            stacks.TicketAuthMiddlewareStack(routes), f"{MIRROR}?ticket_uuid={ticket}", [GOOD], denial=False
        )
        with pytest.raises(Refused) as refused:
            await socket.open()
        assert refused.value.code == 4503


@pytest.mark.parametrize(
    "scheme", [TicketQuery, TicketSubprotocol, TicketHeader, JWTHeader, JWTCookie, JWTQuery, Session]
)
def test_each_scheme_finds_nothing_where_nothing_is(scheme: Any) -> None:
    from ticketauth.handshake import parse

    opening = parse({"path": "/", "headers": [], "query_string": b"", "subprotocols": []}, ())
    assert scheme().find(opening) is None


async def test_what_an_application_says_before_it_closes_is_not_lost() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "last words"})
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})

    socket = TicketCommunicator(application, "/")
    await socket.open()
    assert await socket.receive_from() == "last words"
    with pytest.raises(Refused) as refused:
        await socket.receive_from()
    assert (refused.value.code, refused.value.body) == (4000, {"reason": "enough"})


def test_a_refusal_says_so_in_a_failing_test() -> None:
    assert "HTTP 401" in str(Refused(401, None, {"code": "not_authenticated"}))
    assert json.dumps("4401")[1:-1] in str(Refused(None, 4401, {}))
