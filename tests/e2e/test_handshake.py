"""R16 to R26: who gets in."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from redis import Redis

from tests.conftest import Forge, Service
from tests.e2e.test_issue import BAD_TOKENS
from tests.monitoring import commands

GOOD = "https://good.example"
V1 = "ticketauth.v1"


@pytest.fixture
def session(owner: User) -> str:
    """The owner's session cookie."""
    client = Client()
    client.force_login(owner)
    return f"sessionid={client.cookies['sessionid'].value}"


class TestR16:
    """A key space of its own."""

    KEYS = ("visits", "throttle_anon_127.0.0.1", ":1:visits", "../", "*", "{ticketauth}:t:visits")

    @pytest.mark.parametrize("key", KEYS)
    def test_no_key_of_the_cache_is_a_ticket(self, service: Service, valkey: Redis, owner: User, key: str) -> None:
        cache.set(key, owner.pk)
        valkey.set(key, owner.pk)
        answer = service.connect(f"ticket_uuid={quote(key)}")
        assert answer.status == 400
        assert cache.get(key) == owner.pk
        assert valkey.get(key) == str(owner.pk).encode()

    def test_the_naive_way_lets_the_stranger_in(self, owner: User) -> None:
        """The twin: the query value as a bare cache key."""
        cache.set("visits", owner.pk)
        assert cache.get("visits") == owner.pk


NOT_A_TICKET: dict[str, Callable[[str], str]] = {
    "no dashes": lambda ticket: ticket.replace("-", ""),
    "urn:uuid:": lambda ticket: f"urn:uuid:{ticket}",
    "braces": lambda ticket: quote(f"{{{ticket}}}"),
    "full-width digits": lambda ticket: quote(ticket[:-1] + "１"),
    "Arabic digits": lambda ticket: quote(ticket[:-1] + "١"),
    "underscores": lambda ticket: ticket.replace("-", "_"),
    "leading space": lambda ticket: f"%20{ticket}",
    "a plus for a space": lambda ticket: f"+{ticket}",
    "0x": lambda ticket: f"0x{ticket[2:]}",
    "trailing LF": lambda ticket: f"{ticket}%0a",
    "trailing CRLF": lambda ticket: f"{ticket}%0d%0a",
    "trailing NUL": lambda ticket: f"{ticket}%00",
    "NUL alone": lambda _: "%00",
    "no UTF-8": lambda _: "%ff%fe",
    "empty": lambda _: "",
    "version 1": lambda ticket: f"{ticket[:14]}1{ticket[15:]}",
    "another variant": lambda ticket: f"{ticket[:19]}c{ticket[20:]}",
    "with a secret": lambda ticket: f"{ticket}.{'A' * 43}",
    "a text": lambda _: "hello",
}


class TestR17:
    """Strict syntax before any I/O."""

    @pytest.mark.parametrize("name", NOT_A_TICKET)
    def test_malformed_without_one_command_to_redis(
        self, service: Service, ticket: str, valkey: Redis, name: str
    ) -> None:
        with commands(valkey) as seen:
            assert service.connect(f"ticket_uuid={NOT_A_TICKET[name](ticket)}").status == 400
        assert seen == []
        assert service.connect(f"ticket_uuid={ticket}").accepted


class TestR18:
    """Exactly one explicit credential of the schemes in use."""

    @pytest.mark.parametrize(
        "query",
        ["ticket_uuid=bad&ticket_uuid={0}", "ticket_uuid={0}&ticket_uuid={0}", "ticket_uuid={0}&ticket%5Fuuid={0}"],
    )
    def test_twice_in_the_query(self, service: Service, ticket: str, query: str) -> None:
        assert service.connect(query.format(ticket)).status == 400
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_query_and_subprotocol(self, service: Service, ticket: str) -> None:
        answer = service.connect(f"ticket_uuid={ticket}", subprotocols=f"{V1}, ticketauth.ticket.{ticket}")
        assert answer.status == 400
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_twice_in_the_subprotocol(self, service: Service, ticket: str) -> None:
        offers = f"ticketauth.ticket.{ticket}, ticketauth.ticket.{ticket}"
        assert service.connect(subprotocols=offers).status == 400
        assert service.connect(f"ticket_uuid={ticket}").accepted

    @pytest.mark.parametrize("kind", ["Ticket", "Bearer"])
    def test_query_and_header(self, service: Service, ticket: str, access: str, kind: str) -> None:
        credential = ticket if kind == "Ticket" else access
        headers = [("Authorization", f"{kind} {credential}")]
        assert service.connect(f"ticket_uuid={ticket}", headers=headers).status == 400
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_two_authorization_headers(self, service: Service, ticket: str, access: str) -> None:
        headers = [("Authorization", f"Ticket {ticket}"), ("Authorization", f"Bearer {access}")]
        assert service.connect(headers=headers).status == 400
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_a_basic_header_is_ignored(self, service: Service, ticket: str) -> None:
        headers = [("Authorization", "Basic dXNlcjpwYXNz")]
        assert service.connect(f"ticket_uuid={ticket}", headers=headers).accepted

    def test_the_parameter_of_a_scheme_that_is_off_is_ignored(self, service: Service, ticket: str, access: str) -> None:
        assert service.connect(f"ticket_uuid={ticket}&token={access}").accepted


class TestR19:
    """A failed credential never falls back."""

    @pytest.mark.parametrize("query", ["ticket_uuid=00000000-0000-4000-8000-000000000000", "ticket_uuid=bad"])
    def test_a_bad_ticket_is_not_saved_by_a_good_session(self, service: Service, session: str, query: str) -> None:
        assert service.connect(cookie=session, origin=GOOD).accepted
        answer = service.connect(query, cookie=session, origin=GOOD)
        assert _code(answer) in {4401, 400}

    def test_a_bad_bearer_neither(self, service: Service, session: str) -> None:
        answer = service.connect(cookie=session, origin=GOOD, headers=[("Authorization", "Bearer bad")])
        assert _code(answer) == 4401


def _code(answer) -> int:
    """The close code of one that was accepted to be closed, else the status."""
    return answer.close_code()[0] if answer.accepted else answer.status


class TestR20:
    """The user is read again at the handshake."""

    def test_deactivated(self, service: Service, owner: User, ticket: str) -> None:
        User.objects.filter(pk=owner.pk).update(is_active=False)
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_deleted(self, service: Service, owner: User, ticket: str) -> None:
        owner.delete()
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_password_changed(self, service: Service, owner: User, ticket: str) -> None:
        owner.set_password("another")
        owner.save()
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_logged_out(self, service: Service, tokens: dict[str, str], ticket: str) -> None:
        service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_a_session_that_logged_out(self, service: Service, owner: User) -> None:
        client = Client(headers={"host": "sockets.example"})
        client.force_login(owner)
        ticket = client.post("/api/tickets/", content_type="application/json").json()["ticket_uuid"]
        client.logout()
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_a_session_that_did_not(self, service: Service, owner: User) -> None:
        client = Client(headers={"host": "sockets.example"})
        client.force_login(owner)
        ticket = client.post("/api/tickets/", content_type="application/json").json()["ticket_uuid"]
        assert service.connect(f"ticket_uuid={ticket}").accepted


FOREIGN = [
    "https://evil",
    "null",
    "https://good.evil.com",
    "https://good.example.evil.com",
    "http://good.example",
    "https://good.example:444",
    "https://evil@good.example",
    "https://good.example/path",
    "https://good.example/",
    "HTTPS://GOOD.EXAMPLE",
    "http://[",
    "https://good.example:99999999",
    "https://good.example https://evil",
    "",
    "*",
    "https://gööd.example",
    "capacitor://evil",
]
LISTED = [GOOD, "http://localhost:3000", "capacitor://localhost", "https://sockets.example"]


class TestR21:
    """Origin."""

    @pytest.mark.parametrize("origin", FOREIGN)
    def test_a_foreign_one_is_refused_and_spends_nothing(self, service: Service, ticket: str, origin: str) -> None:
        assert service.connect(f"ticket_uuid={ticket}", origin=origin).status == 403
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_two_are_refused(self, service: Service, ticket: str) -> None:
        headers = [("Origin", GOOD), ("Origin", GOOD)]
        assert service.connect(f"ticket_uuid={ticket}", headers=headers).status == 403

    @pytest.mark.parametrize("origin", LISTED)
    def test_a_listed_one_passes(self, service: Service, ticket: str, origin: str) -> None:
        assert service.connect(f"ticket_uuid={ticket}", origin=origin).accepted

    def test_none_is_fine_with_a_header(self, service: Service, access: str) -> None:
        assert service.connect(headers=[("Authorization", f"Bearer {access}")]).accepted

    def test_a_foreign_one_is_refused_with_a_header_too(self, service: Service, access: str) -> None:
        headers = [("Authorization", f"Bearer {access}")]
        assert service.connect(headers=headers, origin="https://evil").status == 403

    @pytest.mark.parametrize("origin", [None, "https://evil", "null"])
    def test_a_cookie_needs_a_listed_one(self, service: Service, session: str, access: str, origin: str | None) -> None:
        assert service.connect(cookie=session, origin=origin).status == 403
        assert service.connect(cookie=f"access_token={access}", origin=origin).status == 403

    @pytest.mark.parametrize("origin", LISTED)
    def test_a_cookie_with_a_listed_one_passes(self, service: Service, session: str, origin: str) -> None:
        assert service.connect(cookie=session, origin=origin).accepted


class TestR22:
    """Bound to a path."""

    def test_used_elsewhere_it_is_refused(self, service: Service, access: str) -> None:
        ticket = service.ticket(access, "/ws/events/")
        assert service.connect(f"ticket_uuid={ticket}", "/ws/echo/").status == 401

    def test_used_there_it_opens(self, service: Service, access: str) -> None:
        ticket = service.ticket(access, "/ws/events/")
        assert service.connect(f"ticket_uuid={ticket}", "/ws/events/").accepted

    def test_compared_decoded(self, service: Service, access: str) -> None:
        ticket = service.ticket(access, "/ws/events/")
        assert service.connect(f"ticket_uuid={ticket}", "/ws/%65vents/").accepted

    @pytest.mark.parametrize(
        "path", ["/", "/ws/", "/ws/nowhere/", "/ws/echo", "/ws/echo//", "//ws/echo/", "/WS/echo/", "/ws/echo/%0a"]
    )
    def test_an_unknown_path_is_404_and_spends_nothing(
        self, service: Service, ticket: str, valkey: Redis, path: str
    ) -> None:
        with commands(valkey) as seen:
            assert service.connect(f"ticket_uuid={ticket}", path).status == 404
        assert seen == []
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_not_bound_to_the_address_by_default(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TRUSTED_PROXIES": ["127.0.0.1"]}
        ticket = service.ticket(access)
        assert service.connect(f"ticket_uuid={ticket}", headers=[("X-Forwarded-For", "9.9.9.9")]).accepted

    def test_bound_to_the_address_by_setting(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {
            **settings.TICKETAUTH, "TRUSTED_PROXIES": ["127.0.0.1"], "TICKET_BIND_ADDRESS": True
        }  # fmt: skip
        stolen, kept = service.ticket(access), service.ticket(access)
        assert service.connect(f"ticket_uuid={stolen}", headers=[("X-Forwarded-For", "9.9.9.9")]).status == 401
        assert service.connect(f"ticket_uuid={kept}").accepted


class TestR23:
    """The ticket may travel in Sec-WebSocket-Protocol."""

    def test_ours_is_selected_where_the_consumer_selects_none(self, service: Service, ticket: str) -> None:
        answer = service.connect(subprotocols=f"{V1}, ticketauth.ticket.{ticket}")
        assert answer.accepted
        assert answer.headers["sec-websocket-protocol"] == V1

    def test_without_v1_nothing_is_selected(self, service: Service, ticket: str) -> None:
        answer = service.connect(subprotocols=f"ticketauth.ticket.{ticket}")
        assert answer.accepted
        assert "sec-websocket-protocol" not in answer.headers

    @pytest.mark.parametrize("origin", [None, GOOD])
    def test_a_credential_is_never_echoed(
        self, service: Service, ticket: str, origin: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        offers = f"ticketauth.ticket.{ticket}, chat"
        first = service.connect(subprotocols=offers, origin=origin)
        second = service.connect(subprotocols=offers, origin=origin)
        told = f"{first.headers}{first.body!r}{second.headers}{second.body!r}{second.buffer!r}"
        assert first.accepted
        assert ticket not in told
        assert ticket not in " ".join(record.getMessage() for record in caplog.records if record.name == "ticketauth")

    def test_a_malformed_one_is_malformed(self, service: Service) -> None:
        assert service.connect(subprotocols=f"{V1}, ticketauth.ticket.bad").status == 400

    def test_the_header_works_too(self, service: Service, ticket: str) -> None:
        assert service.connect(headers=[("Authorization", f"ticket {ticket}")]).accepted
        assert service.connect(headers=[("Authorization", f"Ticket {ticket}")]).status == 401


class TestR24:
    """A JWT in the URL is off by default."""

    def test_off(self, service: Service, access: str) -> None:
        assert service.connect(f"token={access}").status == 401

    def test_on(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "JWT_QUERY": True}
        assert service.connect(f"token={access}").accepted
        assert service.connect(f"token={access}&token={access}").status == 400

    @pytest.mark.parametrize("name", [name for name in BAD_TOKENS if name != "too long"])
    def test_on_it_refuses_bad_tokens(self, service: Service, forge: Forge, settings, name: str) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "JWT_QUERY": True}
        assert service.connect(f"token={quote(BAD_TOKENS[name](forge))}").status == 401


class TestR25:
    """JWT cookie."""

    def test_with_an_allowed_origin(self, service: Service, access: str) -> None:
        assert service.connect(cookie=f"access_token={access}", origin=GOOD).accepted

    def test_two_of_that_name(self, service: Service, access: str) -> None:
        cookie = f"access_token={access}; access_token={access}"
        assert _code(service.connect(cookie=cookie, origin=GOOD)) == 4401
        assert service.connect(cookie=cookie).status == 403

    def test_two_cookie_headers(self, service: Service, access: str) -> None:
        headers = [("Cookie", f"access_token={access}"), ("Cookie", f"access_token={access}")]
        assert _code(service.connect(headers=headers, origin=GOOD)) == 4401

    def test_a_bad_one(self, service: Service) -> None:
        assert _code(service.connect(cookie="access_token=bad", origin=GOOD)) == 4401

    def test_a_logged_out_one(self, service: Service, tokens: dict[str, str]) -> None:
        service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert _code(service.connect(cookie=f"access_token={tokens['access']}", origin=GOOD)) == 4401

    def test_a_forged_session(self, service: Service) -> None:
        assert _code(service.connect(cookie="sessionid=" + "a" * 32, origin=GOOD)) == 4401


class TestR26:
    """A replay is noticed."""

    def test_one_event_names_both_handshakes(
        self, service: Service, ticket: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "ticketauth")
        assert service.connect(f"ticket_uuid={ticket}").accepted
        assert service.connect(f"ticket_uuid={ticket}").status == 401
        admitted: list[Any] = [record for record in caplog.records if getattr(record, "outcome", "") == "admitted"]
        replays: list[Any] = [record for record in caplog.records if getattr(record, "event", "") == "replay"]
        assert len(replays) == 1
        assert replays[0].first_connection == admitted[0].connection_id
        assert replays[0].connection_id not in {"", admitted[0].connection_id}


class TestSize:
    """100 KB of anything."""

    def test_a_long_query(self, service: Service, ticket: str) -> None:
        assert service.connect(f"ticket_uuid={ticket}&x={'x' * 100_000}").status == 414
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_a_long_header(self, service: Service, ticket: str) -> None:
        answer = service.connect(f"ticket_uuid={ticket}", headers=[("X-Long", "x" * 100_000)])
        assert answer.status == 431
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_a_line_over_the_servers_own_limit(self, service: Service, ticket: str) -> None:
        answer = service.connect(f"ticket_uuid={ticket}", headers=[("X-Long", "x" * 2_000_000)])
        assert answer.status == 431
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_many_headers(self, service: Service, ticket: str) -> None:
        headers = [(f"X-{number}", "x") for number in range(1000)]
        assert service.connect(f"ticket_uuid={ticket}", headers=headers).status == 431
        assert service.connect(f"ticket_uuid={ticket}").accepted

    @pytest.mark.parametrize("header", [("Content-Length", "2"), ("Transfer-Encoding", "chunked")])
    def test_a_body_is_a_bad_request(self, service: Service, ticket: str, header: tuple[str, str]) -> None:
        assert service.connect(f"ticket_uuid={ticket}", headers=[header]).status == 400
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_many_parameters(self, service: Service) -> None:
        assert service.connect("&".join(["a=1"] * 1000)).status == 400


def test_no_credential_is_refused_with_a_challenge(service: Service) -> None:
    answer = service.connect()
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Ticket, Bearer"
    assert answer.problem["code"] == "not_authenticated"


def test_a_ticket_of_another_deployment_is_unknown(service: Service, access: str, settings) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "KEY_PREFIX": "another"}
    foreign = service.ticket(access)
    settings.TICKETAUTH = {**settings.TICKETAUTH, "KEY_PREFIX": "ticketauth"}
    assert service.connect(f"ticket_uuid={foreign}").status == 401


class TestProfiles:
    """How a refusal reaches the client."""

    def test_auto_closes_with_a_code_for_a_browser(self, service: Service) -> None:
        answer = service.connect(origin=GOOD)
        assert answer.accepted
        assert answer.close_code() == (4401, "not_authenticated")

    def test_auto_closes_with_a_code_for_v1(self, service: Service) -> None:
        answer = service.connect(subprotocols=V1)
        assert answer.headers["sec-websocket-protocol"] == V1
        assert answer.close_code()[0] == 4401

    def test_auto_selects_what_is_no_credential(self, service: Service) -> None:
        unknown = "ticketauth.ticket.00000000-0000-4000-8000-000000000000"
        answer = service.connect(subprotocols=f"{unknown}, chat", origin=GOOD)
        assert answer.headers["sec-websocket-protocol"] == "chat"
        assert answer.close_code()[0] == 4401

    def test_auto_answers_with_a_status_otherwise(self, service: Service) -> None:
        assert service.connect().status == 401

    def test_auto_has_had_enough_at_some_point(self, service: Service, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "CLOSE_RATE": "1/hour"}
        statuses = [service.connect(origin=GOOD).status for _ in range(3)]
        assert statuses[-1] == 401

    def test_denial_for_everybody(self, service: Service, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REFUSAL_PROFILE": "denial"}
        assert service.connect(origin=GOOD, subprotocols=V1).status == 401
        assert service.connect("ticket_uuid=bad").status == 400

    def test_close_for_everybody(self, service: Service, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REFUSAL_PROFILE": "close"}
        assert service.connect().close_code()[0] == 4401
        assert service.connect("ticket_uuid=bad").close_code()[0] == 4400
        assert service.connect(origin="https://evil").status == 403
        assert service.connect(path="/nowhere/").status == 404


class TestConsumers:
    """What is behind the sockets."""

    def test_echo_gives_back_what_came_and_nothing_else(self, service: Service, ticket: str) -> None:
        socket = service.connect(f"ticket_uuid={ticket}", subprotocols=V1)
        for message in ("hello", b"\x00\xff", "", "x" * 65536, '{"type": "ping"}'):
            socket.send(message)
            assert socket.frame()[1] == (message.encode() if isinstance(message, str) else message)

    def test_over_the_limit_1009(self, service: Service, ticket: str) -> None:
        socket = service.connect(f"ticket_uuid={ticket}")
        socket.send("x" * 65537)
        assert socket.close_code()[0] == 1009

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ("no json", "invalid"),
            ("[]", "invalid"),
            ('{"type": "pong"}', "invalid"),
            ('{"type": "ping"}', "invalid"),
            ('{"id": 1}', "invalid"),
            ('{"type": "ping", "id": true}', "invalid"),
            ('{"type": "ping", "id": 1.0}', "invalid"),
            ('{"type": "ping", "id": 1, "more": 1}', "invalid"),
            (b"bytes", "not_text"),
        ],
    )
    def test_a_bad_message_is_told_so_and_the_socket_stays(
        self, service: Service, ticket: str, message: str | bytes, code: str
    ) -> None:
        socket = service.connect(f"ticket_uuid={ticket}", "/ws/events/")
        socket.json()
        socket.send(message)
        answer = socket.json()
        assert (answer["type"], answer["code"]) == ("error", code)
        socket.send(json.dumps({"type": "ping", "id": "still here"}))
        assert socket.json() == {"type": "pong", "id": "still here"}

    async def test_what_is_published_is_pushed(
        self, service: Service, ticket: str, owner: User, stranger: User
    ) -> None:
        from ws.events import publish

        socket = service.connect(f"ticket_uuid={ticket}", "/ws/events/")
        assert socket.json()["expires_at"]
        await publish(stranger, "news", {"for": "stranger"})
        await publish(owner, "news", {"for": "owner"})
        assert socket.json() == {"type": "event", "event": "news", "data": {"for": "owner"}}
