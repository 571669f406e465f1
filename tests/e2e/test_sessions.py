"""One's own logins: which there are, and their end."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from tests.conftest import PASSWORD, Forge, Service
from ticketauth import logins
from ticketauth.models import ForeignIdentity, Login, Revocation
from ticketauth.types import Sid

SESSIONS = "/api/sessions/"
ALL = f"{SESSIONS}revoke-all/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sid_of(pair: dict[str, str]) -> str:
    sid: str = jwt.decode(pair["access"], options={"verify_signature": False})["sid"]
    return sid


def bearer(pair: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access']}"}


def end(service: Service, pair: dict[str, str], sid: str) -> httpx.Response:
    return service.http.delete(f"{SESSIONS}{sid}/", headers=bearer(pair))


def end_all(service: Service, pair: dict[str, str], *, keep_current: bool) -> httpx.Response:
    return service.post(ALL, {"keep_current": keep_current}, pair["access"])


def listed(service: Service, pair: dict[str, str]) -> list[dict[str, Any]]:
    answer = service.http.get(SESSIONS, headers=bearer(pair))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def over() -> set[str]:
    return set(Login.objects.exclude(revoked_at=None).values_list("pk", flat=True))


@pytest.fixture
def browser(owner: User) -> Client:
    """The owner's, logged in by the form."""
    client = Client(headers={"host": "sockets.example", "user-agent": FIREFOX})
    assert client.post("/login/", {"username": owner.username, "password": PASSWORD}).status_code == 302
    return client


class TestList:
    def test_one_sees_ones_own(self, service: Service, tokens: dict[str, str], other, strangers) -> None:
        assert {login["sid"] for login in listed(service, tokens)} == {sid_of(tokens), sid_of(other)}

    def test_which_one_asks(self, service: Service, tokens: dict[str, str], other) -> None:
        assert {login["sid"]: login["current"] for login in listed(service, other)} == {
            sid_of(tokens): False,
            sid_of(other): True,
        }

    def test_what_is_said_of_one(self, service: Service, tokens: dict[str, str]) -> None:
        (told,) = listed(service, tokens)
        login = Login.objects.get()
        assert told == {
            "sid": login.sid,
            "label": "python-httpx",
            "created_at": told["created_at"],
            "last_seen": told["last_seen"],
            "expires_at": told["expires_at"],
            "current": True,
            "connections": 0,
        }
        assert parse_datetime(told["created_at"]) == login.created_at
        assert parse_datetime(told["last_seen"]) == login.refreshed_at
        assert parse_datetime(told["expires_at"]) == login.expires_at

    def test_a_refresh_is_seen(self, service: Service, tokens: dict[str, str]) -> None:
        (before,) = listed(service, tokens)
        service.post("/api/token/refresh/", {"refresh": tokens["refresh"]})
        (after,) = listed(service, tokens)
        assert after["last_seen"] > before["last_seen"]

    def test_the_last_seen_is_first(self, service: Service, tokens: dict[str, str], other) -> None:
        service.post("/api/token/refresh/", {"refresh": tokens["refresh"]})
        assert [login["sid"] for login in listed(service, tokens)] == [sid_of(tokens), sid_of(other)]

    @pytest.mark.parametrize(
        "spoil", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now()}, {"auth_hash": "of another password"}]
    )
    def test_not_what_is_over(self, service: Service, tokens: dict[str, str], other, spoil: dict[str, Any]) -> None:
        Login.objects.filter(pk=sid_of(other)).update(**spoil)
        assert [login["sid"] for login in listed(service, tokens)] == [sid_of(tokens)]

    def test_a_session_is_one_and_has_the_browsers_name(self, service: Service, browser: Client) -> None:
        (told,) = browser.get(SESSIONS).json()
        assert (told["label"], told["current"]) == ("Firefox on Linux", True)

    def test_nobody_is_401(self, service: Service) -> None:
        answer = service.http.get(SESSIONS)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_is_kept_by_nobody(self, service: Service, tokens: dict[str, str]) -> None:
        assert service.http.get(SESSIONS, headers=bearer(tokens)).headers["Cache-Control"] == "no-store"


class TestEndOne:
    def test_that_one_and_no_other(self, service: Service, tokens: dict[str, str], other) -> None:
        assert end(service, tokens, sid_of(other)).status_code == 204
        assert over() == {sid_of(other)}

    def test_ones_own(self, service: Service, tokens: dict[str, str]) -> None:
        assert end(service, tokens, sid_of(tokens)).status_code == 204
        assert end(service, tokens, sid_of(tokens)).status_code == 401

    def test_again(self, service: Service, tokens: dict[str, str], other) -> None:
        assert [end(service, tokens, sid_of(other)).status_code for _ in range(3)] == [204, 204, 204]

    def test_a_strangers_is_404_as_one_that_does_not_exist(self, service: Service, tokens, strangers) -> None:
        answers = [end(service, tokens, sid) for sid in (sid_of(strangers), "unknown", "odd.sid")]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}
        assert not over()

    def test_nobody_is_401(self, service: Service, tokens: dict[str, str]) -> None:
        assert service.http.delete(f"{SESSIONS}{sid_of(tokens)}/").status_code == 401
        assert not over()

    def test_no_refresh_afterwards(self, service: Service, tokens: dict[str, str], other) -> None:
        end(service, tokens, sid_of(other))
        assert service.post("/api/token/refresh/", {"refresh": other["refresh"]}).status_code == 401

    def test_no_ticket_afterwards(self, service: Service, tokens: dict[str, str], other) -> None:
        end(service, tokens, sid_of(other))
        assert service.post("/api/tickets/", token=other["access"]).status_code == 401

    def test_no_handshake_afterwards(self, service: Service, tokens: dict[str, str], other) -> None:
        ticket = service.ticket(other["access"])
        end(service, tokens, sid_of(other))
        assert service.connect(f"ticket_uuid={ticket}").status == 401


class TestEndAll:
    def test_others(self, service: Service, tokens: dict[str, str], other, strangers) -> None:
        assert end_all(service, tokens, keep_current=True).status_code == 204
        assert over() == {sid_of(other)}
        assert service.post("/api/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 200

    def test_all(self, service: Service, tokens: dict[str, str], other, strangers) -> None:
        assert end_all(service, tokens, keep_current=False).status_code == 204
        assert over() == {sid_of(tokens), sid_of(other)}
        assert service.post("/api/tickets/", token=tokens["access"]).status_code == 401

    def test_a_login_afterwards_is_good(self, service: Service, owner: User, tokens: dict[str, str]) -> None:
        end_all(service, tokens, keep_current=False)
        assert service.ticket(service.login(owner)["access"])

    def test_tokens_without_login_too(self, service: Service, tokens: dict[str, str], forge) -> None:
        plain = forge.token(sid=...)
        assert service.post("/api/tickets/", token=plain).status_code == 201
        end_all(service, tokens, keep_current=True)
        assert service.post("/api/tickets/", token=plain).status_code == 401

    def test_but_for_the_one_that_asks(self, service: Service, tokens: dict[str, str], forge) -> None:
        plain = forge.token(sid=...)
        end_all(service, {"access": plain}, keep_current=True)
        assert over() == {sid_of(tokens)}
        assert service.post("/api/tickets/", token=plain).status_code == 201

    def test_a_providers_tokens_too(self, service: Service, owner: User, tokens: dict[str, str]) -> None:
        ForeignIdentity.objects.create(issuer="https://idp.example", subject="u1", user=owner)
        end_all(service, tokens, keep_current=True)
        assert Revocation.objects.filter(issuer="https://idp.example", subject="u1", sid="").count() == 1

    @pytest.mark.parametrize(
        "body", [None, {}, [], {"keep_current": None}, {"keep_current": "true"}, {"keep_current": 1}]
    )
    def test_without_saying_which_is_400(self, service: Service, tokens: dict[str, str], body: Any) -> None:
        assert service.post(ALL, body, tokens["access"]).status_code == 400
        assert not over()

    def test_nobody_is_401(self, service: Service, tokens: dict[str, str]) -> None:
        assert service.post(ALL, {"keep_current": False}).status_code == 401
        assert not over()


class TestSession:
    """A browser's, which is over for Django's own pages too."""

    @pytest.fixture(autouse=True)
    def _staff(self, owner: User) -> None:
        User.objects.update(is_staff=True)

    def test_it_needs_the_csrf_token(self, service: Service, owner: User) -> None:
        client = Client(enforce_csrf_checks=True, headers={"host": "sockets.example"})
        client.force_login(owner)
        answers = [client.delete(f"{SESSIONS}{Login.objects.get().sid}/"), client.post(ALL, {"keep_current": False})]
        assert {answer.status_code for answer in answers} == {403}
        assert not over()

    def test_ending_its_own_flushes_it(self, service: Service, browser: Client) -> None:
        assert browser.delete(f"{SESSIONS}{Login.objects.get().sid}/").status_code == 204
        assert not Session.objects.exists()
        assert browser.get("/admin/").status_code == 302

    def test_ending_all_flushes_it(self, service: Service, browser: Client) -> None:
        answer = browser.post(ALL, {"keep_current": False}, content_type="application/json")
        assert answer.status_code == 204
        assert not Session.objects.exists()

    def test_ending_all_others_does_not(self, service: Service, browser: Client, tokens: dict[str, str]) -> None:
        answer = browser.post(ALL, {"keep_current": True}, content_type="application/json")
        assert answer.status_code == 204
        assert over() == {sid_of(tokens)}
        assert browser.get("/admin/").status_code == 200

    def test_ended_from_elsewhere_it_is_nobodys(
        self, service: Service, browser: Client, tokens: dict[str, str]
    ) -> None:
        (session,) = (login for login in listed(service, tokens) if not login["current"])
        assert browser.get("/admin/").status_code == 200
        assert end(service, tokens, session["sid"]).status_code == 204
        assert browser.get("/admin/").status_code == 302
        assert not Session.objects.exists()

    def test_its_next_login_is_good(self, service: Service, browser: Client, owner: User) -> None:
        logins.end(Sid(Login.objects.get().sid))
        browser.force_login(owner)
        assert browser.get("/admin/").status_code == 200

    def test_a_handshake_is_refused_at_once(self, service: Service, browser: Client, tokens: dict[str, str]) -> None:
        cookie = f"sessionid={browser.cookies['sessionid'].value}"
        end_all(service, tokens, keep_current=True)
        assert service.connect(cookie=cookie, origin="https://good.example").close_code()[0] == 4401

    def test_its_use_is_seen(self, service: Service, browser: Client) -> None:
        Login.objects.update(refreshed_at=timezone.now() - timedelta(hours=1))
        browser.get("/admin/")
        assert timezone.now() - Login.objects.get().refreshed_at < timedelta(minutes=1)

    def test_the_log_says_why_it_is_nobodys(self, service: Service, browser: Client, caplog) -> None:
        logins.end(Sid(Login.objects.get().sid))
        assert browser.get(SESSIONS).status_code == 401
        assert "sessions outcome=refused reason=login_revoked" in caplog.text

    def test_with_djangos_own_middleware_it_gets_no_ticket(self, service: Service, browser: Client, settings) -> None:
        settings.MIDDLEWARE = [path.replace(*DJANGOS_OWN) for path in settings.MIDDLEWARE]
        client = Client(headers={"host": "sockets.example"})
        client.cookies = browser.cookies
        logins.end(Sid(Login.objects.get().sid))
        assert client.post("/api/tickets/", content_type="application/json").status_code == 401
        assert client.get("/admin/").status_code == 200


DJANGOS_OWN = ("config.middleware.Authentication", "django.contrib.auth.middleware.AuthenticationMiddleware")


@pytest.fixture
def read_only() -> Iterator[None]:
    """The database answers questions, and takes nothing."""
    trigger = "BEFORE UPDATE ON ticketauth_login BEGIN SELECT RAISE(FAIL, 'read only'); END"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TRIGGER read_only {trigger}")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER read_only")


class TestNotWritten:
    """204 is said of what the database has."""

    def test_the_end_of_one_is_503(self, service: Service, tokens: dict[str, str], read_only: None) -> None:
        answer = end(service, tokens, sid_of(tokens))
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1

    def test_the_end_of_all_is_503(self, service: Service, tokens: dict[str, str], read_only: None) -> None:
        assert end_all(service, tokens, keep_current=False).status_code == 503
        assert not Revocation.objects.exists()


class TestLog:
    def test_who_ended_what(self, service: Service, owner: User, tokens, other, strangers, caplog) -> None:
        caplog.set_level(logging.INFO, "ticketauth")
        caplog.clear()
        end(service, tokens, sid_of(other))
        end(service, tokens, sid_of(strangers))
        end_all(service, tokens, keep_current=True)
        records: list[Any] = [record for record in caplog.records if record.name == "ticketauth"]
        told = [(record.event, record.outcome, getattr(record, "reason", "")) for record in records]
        assert told == [("revoke", "done", ""), ("revoke", "refused", "not_found"), ("revoke", "done", "")]
        assert (records[0].user, records[0].sid) == (str(owner.pk), sid_of(other))


def deactivate(user: User, pair: dict[str, str], service: Service) -> None:
    user.is_active = False
    user.save()


def change_password(user: User, pair: dict[str, str], service: Service) -> None:
    user.set_password("another")
    user.save()


CAUSES: dict[str, Callable[[User, dict[str, str], Service], Any]] = {
    "its end": lambda user, pair, service: end(service, pair, sid_of(pair)),
    "the end of all": lambda user, pair, service: end_all(service, pair, keep_current=False),
    "a command": lambda user, pair, service: call_command("revoke", "owner", stdout=io.StringIO()),
    "a deactivation": deactivate,
    "a new password": change_password,
    "the user's deletion": lambda user, pair, service: user.delete(),
    "the row's deletion": lambda user, pair, service: Login.objects.filter(pk=sid_of(pair)).delete(),
}


class TestSockets:
    """R36, R37: they hear of it by the next question to the database, long before everybody is read again."""

    @pytest.fixture(autouse=True)
    def _often(self, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 0.2, "REVOCATION_SWEEP": 3600.0}

    @pytest.mark.parametrize("cause", CAUSES)
    def test_a_cause_closes_them(self, service: Service, owner: User, tokens: dict[str, str], cause: str) -> None:
        socket = service.connect(f"ticket_uuid={service.ticket(tokens['access'])}")
        assert socket.accepted
        CAUSES[cause](owner, tokens, service)
        assert socket.close_code() == (4403, "forbidden")

    @pytest.mark.parametrize("cause", ["the end of all", "a command", "a deactivation", "the user's deletion"])
    def test_those_without_a_login_too(self, service: Service, owner: User, tokens, forge: Forge, cause: str) -> None:
        socket = service.connect(headers=[("Authorization", f"Bearer {forge.token(sid=...)}")])
        assert socket.accepted
        CAUSES[cause](owner, tokens, service)
        assert socket.close_code() == (4403, "forbidden")

    def test_the_one_that_is_kept_keeps_its_sockets(self, service: Service, tokens, other) -> None:
        kept, ended = (service.connect(f"ticket_uuid={service.ticket(pair['access'])}") for pair in (tokens, other))
        end_all(service, tokens, keep_current=True)
        assert ended.close_code()[0] == 4403
        kept.send("still here?")
        assert kept.text() == "still here?"
