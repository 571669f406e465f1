"""What others found when they were told to break this."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, async_to_sync
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from tests.conftest import PASSWORD, Forge, Service
from ticketauth import logs, tickets, users
from ticketauth.conf import store
from ticketauth.models import Login
from ticketauth.types import Identity, Issuer, Subject, Ticket

GOOD = "https://good.example"


def browser(user: User) -> Client:
    """A logged-in browser."""
    client = Client(headers={"host": "sockets.example"})
    client.force_login(user)
    return client


def ask(client: Client) -> Any:
    return client.post("/api/tickets/", content_type="application/json")


def cookie(client: Client) -> str:
    return f"sessionid={client.cookies['sessionid'].value}"


class TestTime:
    def test_no_cookie_takes_long_to_read(self, service: Service) -> None:
        began = time.process_time()
        service.connect(cookie='sessionid="' + '\\"' * 14_000 + '"', origin=GOOD)
        assert time.process_time() - began < 0.5

    @pytest.mark.parametrize("part", ["eyJ", "eyJa.", "ticket ", "password"])
    def test_no_address_takes_long_to_redact(self, part: str) -> None:
        """Its twin, an expression that looks for a JWT's dots by itself, takes 5 s for the first."""
        began = time.thread_time()
        logs.redact(part * (60_000 // len(part)))
        assert time.thread_time() - began < 2

    def test_what_a_consumer_does_in_asgirefs_thread_holds_up_nobody(
        self, service: Service, owner: User, access: str
    ) -> None:
        release = threading.Event()
        SyncToAsync.single_thread_executor.submit(release.wait, 10)
        try:
            ticket = service.ticket(access)
            User.objects.update(is_active=False)
            # Refused once the user was read. One who is let in waits for Channels' own use of that thread.
            assert service.connect(f"ticket_uuid={ticket}").status == 401
        finally:
            release.set()


class TestSessions:
    def test_requests_at_once_share_the_sessions_login(self, service: Service, owner: User) -> None:
        client = browser(owner)
        with ThreadPoolExecutor(4) as pool:
            sockets = list(pool.map(lambda _: service.connect(cookie=cookie(client), origin=GOOD), range(8)))
        assert all(socket.accepted for socket in sockets)
        issued = [ask(client).json()["ticket_uuid"] for _ in range(3)]
        client.logout()
        assert not Login.objects.filter(revoked_at=None).exists()
        assert {service.connect(f"ticket_uuid={ticket}").status for ticket in issued} == {401}

    def test_a_session_from_before_this_app_has_one_too(self, service: Service, owner: User) -> None:
        client = browser(owner)
        session = SessionStore(client.cookies["sessionid"].value)
        del session["ticketauth_sid"]
        session.save()
        Login.objects.all().delete()
        with ThreadPoolExecutor(4) as pool:
            sockets = list(pool.map(lambda _: service.connect(cookie=cookie(client), origin=GOOD), range(8)))
        assert all(socket.accepted for socket in sockets)
        assert Login.objects.count() == 1
        client.logout()
        assert not Login.objects.filter(revoked_at=None).exists()

    def test_a_handshake_leaves_the_session_as_it_is(self, service: Service, owner: User, settings) -> None:
        client = browser(owner)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another key of more than fifty characters, for Django to be content"
        assert all(service.connect(cookie=cookie(client), origin=GOOD).accepted for _ in range(2))

    @pytest.mark.parametrize("spoil", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now()}])
    def test_a_login_that_is_over_stays_over(self, service: Service, owner: User, spoil: dict) -> None:
        client = browser(owner)
        Login.objects.update(**spoil)
        assert ask(client).status_code == 401
        Login.objects.update(expires_at=timezone.now() - timedelta(days=1))
        call_command("clearlogins", stdout=io.StringIO())
        assert ask(client).status_code == 401

    def test_a_fresh_password_begins_a_fresh_login(self, service: Service, owner: User) -> None:
        client = browser(owner)
        Login.objects.update(revoked_at=timezone.now())
        client.force_login(owner)
        assert ask(client).status_code == 201

    def test_a_session_outlives_a_change_of_its_own_password(self, service: Service, owner: User) -> None:
        from django.contrib.auth import update_session_auth_hash

        client = browser(owner)
        before = ask(client).json()["ticket_uuid"]
        request: Any = client.request().wsgi_request
        request.user.set_password("another")
        request.user.save()
        update_session_auth_hash(request, request.user)
        request.session.save()
        client.cookies["sessionid"] = request.session.session_key
        after = ask(client)
        assert after.status_code == 201
        assert service.connect(f"ticket_uuid={before}").status == 401
        assert service.connect(f"ticket_uuid={after.json()['ticket_uuid']}").accepted
        client.logout()
        assert not Login.objects.filter(revoked_at=None, auth_hash=request.user.get_session_auth_hash()).exists()


class TestGuessing:
    @pytest.fixture(autouse=True)
    def _slow(self, settings) -> None:
        settings.LOGIN_RATE = "5/min"
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TRUSTED_PROXIES": ["127.0.0.1"]}

    @pytest.mark.parametrize("spelling", ["{0}", " {0}", "{0}\t", "OWNER", "ｏwner"])
    def test_spellings_of_a_name_share_its_limit(self, service: Service, owner: User, spelling: str) -> None:
        for number in range(5):
            body = {"username": spelling.format("owner") + " " * number, "password": "wrong"}
            service.post("/api/token/", body, **{"X-Forwarded-For": f"9.9.9.{number}"})
        answer = service.post("/api/token/", {"username": "owner", "password": PASSWORD})
        assert answer.status_code == 429

    def test_the_admins_form_is_limited_too(self, service: Service, transactional_db: None) -> None:
        User.objects.create_superuser("root", password=PASSWORD)
        client = Client(headers={"host": "sockets.example"})
        form = {"username": "root", "password": "wrong"}
        statuses = [client.post("/admin/login/", form).status_code for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        assert client.get("/admin/login/").status_code == 200

    def test_the_admins_form_works(self, service: Service, transactional_db: None) -> None:
        User.objects.create_superuser("root", password=PASSWORD)
        client = Client(headers={"host": "sockets.example"})
        assert client.post("/admin/login/", {"username": "root", "password": PASSWORD}).status_code == 302


class TestSettings:
    def test_without_grace_a_refresh_still_works(self, service: Service, tokens: dict[str, str], settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REFRESH_GRACE": 0}
        answer = service.post("/api/token/refresh/", {"refresh": tokens["refresh"]})
        assert answer.status_code == 200
        assert service.post("/api/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 401

    def test_users_from_claims_are_logged_out_too(self, service: Service, tokens: dict[str, str], settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "USERS": "claims"}
        ticket = service.ticket(tokens["access"])
        service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert service.post("/api/tickets/", token=tokens["access"]).status_code == 401
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_users_from_claims_have_no_password_to_compare(self, service: Service, forge: Forge, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "USERS": "claims"}
        settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "CHECK_REVOKE_TOKEN": True}
        token = forge.token(user_id="4711", sid="elsewhere", hash_password="OF ANOTHER SERVICE")
        assert service.post("/api/tickets/", token=token).status_code == 201

    def test_an_issuer_that_is_gone_spoils_nothing_for_others(self, service: Service, access: str) -> None:
        gone = Ticket(Identity(Issuer("https://gone.example"), Subject("1")))
        orphan = async_to_sync(tickets.issue)(store(), gone, ttl=30).value
        good = [service.ticket(access) for _ in range(5)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda ticket: service.connect(f"ticket_uuid={ticket}").status, [orphan, *good]))
        assert answers == [401] + [101] * 5

    def test_requests_may_be_atomic(self, service: Service, access: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from django.db import connections

        monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
        assert service.post("/api/tickets/", token=access).status_code == 201

    def test_another_projects_tickets_are_not_ours(self, service: Service, owner: User, settings) -> None:
        from ticketauth.stores.redis import RedisStore

        ours, settings.SECRET_KEY = settings.SECRET_KEY, "the key of another project, on the same server"
        ticket = Ticket(Identity(Issuer(""), Subject(str(owner.pk))))
        foreign = async_to_sync(tickets.issue)(RedisStore(django_settings.REDIS_URL), ticket, ttl=30).value
        settings.SECRET_KEY = ours
        assert service.connect(f"ticket_uuid={foreign}").status == 401

    def test_the_key_field_may_be_called_pk(self, service: Service, owner: User, forge: Forge, settings) -> None:
        settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "USER_ID_FIELD": "pk"}
        assert service.post("/api/tickets/", token=forge.token(sid=...)).status_code == 201


class TestNever500:
    @pytest.mark.parametrize("path", ["/api/token/", "/api/token/refresh/", "/api/tickets/"])
    def test_many_brackets(self, service: Service, access: str, path: str) -> None:
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json"}
        assert service.http.post(path, content=b"[" * 100_000, headers=headers).status_code == 400

    def test_a_path_out_of_the_static_files(self, service: Service) -> None:
        assert service.connect(path="/static/..%2f..%2fetc/passwd").status in {400, 404}
        assert service.http.get("/static/..%2f..%2fetc/passwd").status_code in {400, 404}


class TestForeignUsers:
    async def test_they_are_nobodys_primary_key_and_no_staff(self, settings, transactional_db: None) -> None:
        issuer = "https://idp.example"
        rules = {"AUDIENCE": "x", "KEY": "x", "USERS": "claims"}
        settings.TICKETAUTH = {**settings.TICKETAUTH, "ISSUERS": {issuer: rules}}
        claims = {"is_superuser": True, "is_staff": True}
        user = (await users.read(Identity(Issuer(issuer), Subject("1"), claims=claims))).user
        assert user.pk == f"{issuer} 1"
        assert not user.is_staff
        assert not user.is_superuser


class TestAddresses:
    def test_a_whole_ipv6_network_is_one_client(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {
            **settings.TICKETAUTH, "RATE_PER_ADDRESS": "2/min", "TRUSTED_PROXIES": ["127.0.0.1"]
        }  # fmt: skip
        forwarded = ["2001:db8::1", "[2001:db8::2]:4711", "2001:db8::3%eth0"]
        answers = [service.post("/api/tickets/", token=access, **{"X-Forwarded-For": each}) for each in forwarded]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
