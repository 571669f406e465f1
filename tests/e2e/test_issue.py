"""R1 to R11: who gets a ticket."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from redis import Redis

from tests.conftest import Forge, Service
from ticketauth.models import Login

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class TestR1:
    """Tickets by POST only, for a valid access token."""

    def test_a_ticket_for_an_access_token(self, service: Service, access: str) -> None:
        answer = service.post("/api/tickets/", token=access)
        assert answer.status_code == 201
        assert set(answer.json()) == {"ticket_uuid", "expires_in", "expires_at"}
        assert answer.json()["expires_in"] == 30
        ends = datetime.fromisoformat(answer.json()["expires_at"]).timestamp() - time.time()
        assert 28 < ends <= 30

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
    def test_no_other_method(self, service: Service, access: str, method: str) -> None:
        answer = service.http.request(method, "/api/tickets/", headers={"Authorization": f"Bearer {access}"})
        assert answer.status_code == 405
        assert "POST" in answer.headers["Allow"]

    def test_no_header_no_ticket(self, service: Service) -> None:
        answer = service.post("/api/tickets/")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert set(answer.json()) == {"title", "status", "detail", "code"}

    def test_options_tells_the_method(self, service: Service) -> None:
        answer = service.http.options("/api/tickets/")
        assert answer.status_code == 204
        assert "POST" in answer.headers["Allow"]


def _unsigned(token: str, algorithm: str) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def _swapped(token: str, **claims: object) -> str:
    header, payload, signature = token.split(".")
    merged = {**json.loads(base64.urlsafe_b64decode(payload + "==")), **claims}
    swapped = base64.urlsafe_b64encode(json.dumps(merged).encode()).rstrip(b"=").decode()
    return f"{header}.{swapped}.{signature}"


def _rs256(forge: Forge, **headers: object) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return forge.token(pem, "RS256", {"jwk": public, **headers})


BAD_TOKENS = {
    "alg none": lambda forge: _unsigned(forge.token(), "none"),
    "alg nOnE": lambda forge: _unsigned(forge.token(), "nOnE"),
    "HS384 with the same key": lambda forge: forge.token(algorithm="HS384"),
    "HS512 with the same key": lambda forge: forge.token(algorithm="HS512"),
    "RS256 with its own jwk": _rs256,
    "RS256 with a jku": lambda forge: _rs256(forge, jku="https://evil.example/keys"),
    "HS256 with another key": lambda forge: forge.token("k" * 20 + "another key, just as long as ours"),
    "no exp": lambda forge: forge.token(exp=...),
    "expired by a second": lambda forge: forge.token(exp=int(time.time()) - 1),
    "nbf in ten minutes": lambda forge: forge.token(nbf=int(time.time()) + 600),
    "no token_type": lambda forge: forge.token(token_type=...),
    "a refresh token": lambda forge: forge.token(token_type="refresh"),
    "a sliding token": lambda forge: forge.token(token_type="sliding"),
    "no jti": lambda forge: forge.token(jti=...),
    "jti that is no text": lambda forge: forge.token(jti=[1]),
    "crit": lambda forge: forge.token(headers={"crit": ["exp"]}),
    "an unknown crit": lambda forge: forge.token(headers={"crit": ["b64"], "b64": False}),
    "stripped signature": lambda forge: forge.token().rpartition(".")[0] + ".",
    "no signature part": lambda forge: forge.token().rpartition(".")[0],
    "swapped payload": lambda forge: _swapped(forge.token(), user_id="999"),
    "not a token": lambda _: "abc",
    "three dots": lambda _: "...",
    "too long": lambda forge: forge.token(padding="x" * 9000),
    "foreign iss": lambda forge: forge.token(iss="https://evil.example"),
    "iss that is no text": lambda forge: forge.token(iss=["https://evil.example"]),
    "foreign aud": lambda forge: forge.token(aud="another service"),
    # R4: signed, and odd.
    "user_id list": lambda forge: forge.token(user_id=[1, 2]),
    "user_id object": lambda forge: forge.token(user_id={"a": 1}),
    "user_id true": lambda forge: forge.token(user_id=True, sid=...),
    "user_id NUL": lambda forge: forge.token(user_id="1\0", sid=...),
    "user_id surrogate": lambda forge: forge.token(user_id="\ud800", sid=...),
    "user_id 1e30": lambda forge: forge.token(user_id=1e30, sid=...),
    "user_id huge": lambda forge: forge.token(user_id=10**40, sid=...),
    "user_id negative": lambda forge: forge.token(user_id=-1, sid=...),
    "user_id null": lambda forge: forge.token(user_id=None),
    "user_id empty": lambda forge: forge.token(user_id="", sid=...),
    "user_id missing": lambda forge: forge.token(user_id=...),
    "exp 1e30": lambda forge: forge.token(exp=1e30),
    "exp Infinity": lambda forge: forge.token(exp=float("inf")),
    "exp NaN": lambda forge: forge.token(exp=float("nan")),
    "exp text": lambda forge: forge.token(exp="soon"),
    "exp list": lambda forge: forge.token(exp=[]),
    "iat Infinity": lambda forge: forge.token(iat=float("inf")),
    "nbf list": lambda forge: forge.token(nbf=[]),
    "sid list": lambda forge: forge.token(sid=[1]),
    "sid NUL": lambda forge: forge.token(sid="a\0"),
    "sid unknown": lambda forge: forge.token(sid="nobody's"),
    "sid empty": lambda forge: forge.token(sid=""),
}


class TestR2AndR4:
    """Access tokens only, and odd claims never give 5xx."""

    def test_the_forger_can_make_a_good_one(self, service: Service, forge: Forge) -> None:
        assert service.post("/api/tickets/", token=forge.token()).status_code == 201

    @pytest.mark.parametrize("name", BAD_TOKENS)
    def test_a_bad_token_gets_no_ticket(self, service: Service, forge: Forge, name: str) -> None:
        answer = service.post("/api/tickets/", token=BAD_TOKENS[name](forge))
        assert answer.status_code == 401, answer.text
        assert "WWW-Authenticate" in answer.headers

    def test_a_deeply_nested_payload_is_refused(self, service: Service, forge: Forge) -> None:
        payload = base64.urlsafe_b64encode(b'{"a":' * 900 + b"1" + b"}" * 900).rstrip(b"=").decode()
        header, _, signature = forge.token().split(".")
        assert service.post("/api/tickets/", token=f"{header}.{payload}.{signature}").status_code == 401

    def test_a_token_without_login_is_accepted_as_plain_simplejwt_makes_it(
        self, service: Service, forge: Forge
    ) -> None:
        assert service.post("/api/tickets/", token=forge.token(sid=...)).status_code == 201

    def test_another_users_login_does_not_carry(self, service: Service, forge: Forge, stranger: User) -> None:
        assert service.post("/api/tickets/", token=forge.token(user_id=str(stranger.pk))).status_code == 401


class TestR3:
    """aud and iss are checked when configured."""

    @pytest.fixture(autouse=True)
    def _configured(self, settings) -> None:
        settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "ISSUER": "https://us.example", "AUDIENCE": "sockets"}

    def test_ours_passes(self, service: Service, forge: Forge) -> None:
        token = forge.token(iss="https://us.example", aud="sockets")
        assert service.post("/api/tickets/", token=token).status_code == 201

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://us.example", "aud": "mail"},
            {"iss": "https://evil.example", "aud": "sockets"},
            {"iss": "https://us.example/", "aud": "sockets"},
            {"iss": "https://us.example"},
            {"aud": "sockets"},
            {"iss": ["https://us.example"], "aud": "sockets"},
            {"iss": "https://us.example", "aud": {"sockets": 1}},
            {"iss": "https://us.example", "aud": []},
        ],
    )
    def test_foreign_or_missing_is_refused(self, service: Service, forge: Forge, claims: dict) -> None:
        assert service.post("/api/tickets/", token=forge.token(**claims)).status_code == 401

    @pytest.fixture
    def forge(self, owner: User) -> Forge:
        from ticketauth import logins

        return Forge(str(logins.start(owner).access_token))


class TestR5:
    """Unguessable."""

    def test_ten_thousand_tickets_are_distinct_uuids_of_version_4(self) -> None:
        from ticketauth import tickets
        from ticketauth.stores.memory import MemoryStore
        from ticketauth.types import GUEST, Ticket

        async def issue() -> set[str]:
            return {(await tickets.issue(MemoryStore(), Ticket(GUEST), ttl=30)).value for _ in range(10_000)}

        issued = asyncio.run(issue())
        assert len(issued) == 10_000
        assert all(UUID4.fullmatch(value) for value in issued)

    def test_a_ticket_is_taken_in_upper_case(self, service: Service, ticket: str) -> None:
        assert service.connect(f"ticket_uuid={ticket.upper()}").accepted
        assert not service.connect(f"ticket_uuid={ticket}").accepted

    def test_with_the_secret_on_256_more_bits(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_SECRET": True}
        ticket = service.ticket(access)
        bare, _, secret = ticket.partition(".")
        assert UUID4.fullmatch(bare)
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
        assert service.connect(f"ticket_uuid={bare}").status == 400
        assert service.connect(f"ticket_uuid={bare}.{'A' * 43}").status == 401
        assert service.connect(f"ticket_uuid={ticket}").accepted
        assert service.connect(f"ticket_uuid={ticket}").status == 401


class TestR6:
    """A short life, kept by the server."""

    @pytest.fixture(autouse=True)
    def _five_seconds(self, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_TTL": 5}

    def test_used_before_its_end_it_opens(self, service: Service, access: str, valkey: Redis) -> None:
        ticket = service.ticket(access)
        _wait_until_left(valkey, 4000)
        assert service.connect(f"ticket_uuid={ticket}").accepted

    def test_used_after_its_end_it_does_not(self, service: Service, access: str, valkey: Redis) -> None:
        ticket = service.ticket(access)
        _wait_until_left(valkey, 0)
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_the_server_keeps_the_time(self, service: Service, access: str, valkey: Redis) -> None:
        service.ticket(access)
        lives = [valkey.pttl(key) for key in valkey.scan_iter("{ticketauth}:t:*")]
        assert lives
        assert all(0 < life <= 5000 for life in lives)


def _wait_until_left(valkey: Redis, milliseconds: int) -> None:
    deadline = time.monotonic() + 20
    while max([valkey.pttl(key) for key in valkey.scan_iter("{ticketauth}:t:*")], default=-2) > milliseconds:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestR7:
    """Not stored in the clear."""

    def test_the_ticket_is_in_no_command_no_key_and_no_value(
        self, service: Service, access: str, valkey: Redis
    ) -> None:
        with valkey.monitor() as monitor:
            ticket = service.ticket(access)
            stored = _everything(valkey)
            assert service.connect(f"ticket_uuid={ticket}").accepted
            assert not service.connect(f"ticket_uuid={ticket}").accepted
            valkey.echo("the end")
            commands = []
            for command in monitor.listen():
                commands.append(command["command"])
                if command["command"] == "ECHO the end":
                    break
        seen = " ".join([*commands, *stored, *_everything(valkey)]).lower()
        assert "{ticketauth}:t:" in seen
        assert ticket not in seen
        assert ticket.replace("-", "") not in seen
        assert access.lower() not in seen

    def test_keys_are_a_prefix_and_a_hash(self, service: Service, access: str, valkey: Redis) -> None:
        ticket = service.ticket(access)
        service.connect(f"ticket_uuid={ticket}")
        keys = [key.decode() for key in valkey.scan_iter("{ticketauth}:*")]
        assert keys
        # The worker's list of live sockets has its name.
        kinds = r"\{ticketauth\}:([a-z]+:[0-9a-f]{64}|(sockets|ends):[0-9a-f]{16})"
        assert all(re.fullmatch(kinds, key) for key in keys)


def _everything(valkey: Redis) -> list[str]:
    keys = [key.decode() for key in valkey.scan_iter("{ticketauth}:*")]
    return [*keys, *[repr(valkey.dump(key)) for key in keys]]


def test_r8_an_answer_is_not_cacheable_and_gives_no_referrer(service: Service, access: str) -> None:
    headers = service.post("/api/tickets/", token=access).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


class TestR9:
    """Rate limited."""

    def test_exact_per_user_under_concurrency(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "RATE_PER_USER": "7/min"}
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: service.post("/api/tickets/", token=access), range(40)))
        assert sorted(answer.status_code for answer in answers) == [201] * 7 + [429] * 33
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.json()["code"] == "too_many"

    def test_another_user_is_not_affected(self, service: Service, access: str, stranger: User, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "RATE_PER_USER": "1/min"}
        service.ticket(access)
        assert service.post("/api/tickets/", token=access).status_code == 429
        assert service.post("/api/tickets/", token=service.login(stranger)["access"]).status_code == 201

    def test_per_address(self, service: Service, access: str, stranger: User, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "RATE_PER_ADDRESS": "1/min"}
        service.ticket(access)
        assert service.post("/api/tickets/", token=service.login(stranger)["access"]).status_code == 429

    def test_an_address_is_not_what_the_client_says(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "RATE_PER_ADDRESS": "1/min"}
        service.ticket(access)
        assert service.post("/api/tickets/", token=access, **{"X-Forwarded-For": "9.9.9.9"}).status_code == 429

    def test_an_address_is_what_a_trusted_proxy_says(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {
            **settings.TICKETAUTH, "RATE_PER_ADDRESS": "1/min", "TRUSTED_PROXIES": ["127.0.0.1"]
        }  # fmt: skip
        for address in ("9.9.9.9", "8.8.8.8"):
            answer = service.post("/api/tickets/", token=access, **{"X-Forwarded-For": f"1.1.1.1, {address}"})
            assert answer.status_code == 201

    def test_a_rate_of_0_switches_it_off(self, service: Service, access: str) -> None:
        assert {service.post("/api/tickets/", token=access).status_code for _ in range(80)} == {201}

    def test_the_frameworks_own_throttle_loses_counts(self) -> None:
        """The twin: get, then set, as `SimpleRateThrottle` does."""

        def naive(_: int) -> bool:
            history = cache.get("twin", [])
            if len(history) >= 7:
                return False
            time.sleep(0.001)
            cache.set("twin", [*history, 1])
            return True

        cache.delete("twin")
        with ThreadPoolExecutor(20) as pool:
            assert sum(pool.map(naive, range(40))) > 7


class TestR10:
    """An issue that a cookie authenticates needs CSRF."""

    def _session(self, user: User) -> dict[str, str]:
        client = Client()
        client.force_login(user)
        return {"sessionid": client.cookies["sessionid"].value}

    def _post(self, service: Service, cookies: dict[str, str], **headers: str):
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return service.http.post("/api/tickets/", headers={"Cookie": cookie, **headers})

    def test_without_csrf_token_it_is_refused(self, service: Service, owner: User) -> None:
        answer = self._post(service, self._session(owner))
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"

    def test_with_csrf_token_it_works_and_so_does_the_ticket(self, service: Service, owner: User) -> None:
        csrf = "c" * 32
        cookies = {**self._session(owner), "csrftoken": csrf}
        answer = self._post(service, cookies, **{"X-CSRFToken": csrf})
        assert answer.status_code == 201, answer.text
        assert service.connect(f"ticket_uuid={answer.json()['ticket_uuid']}").accepted

    def test_a_foreign_origin_gets_no_cors_header(self, service: Service, access: str) -> None:
        answer = service.post("/api/tickets/", token=access, Origin="https://evil.example")
        assert "Access-Control-Allow-Origin" not in answer.headers

    @pytest.mark.parametrize("origin", ["https://good.example", "capacitor://localhost"])
    def test_an_allowed_origin_may_ask(self, service: Service, access: str, origin: str) -> None:
        preflight = service.http.options(
            "/api/tickets/", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        assert preflight.headers["Access-Control-Allow-Origin"] == origin
        answer = service.post("/api/tickets/", token=access, Origin=origin)
        assert answer.headers["Access-Control-Allow-Origin"] == origin


class TestR11:
    """No ticket for one who is out, with the access token that has not expired."""

    def _refused(self, service: Service, access: str) -> bool:
        return service.post("/api/tickets/", token=access).status_code == 401

    def test_after_logout(self, service: Service, tokens: dict[str, str]) -> None:
        assert service.post("/api/token/logout/", {"refresh": tokens["refresh"]}).status_code == 204
        assert self._refused(service, tokens["access"])

    def test_the_other_login_of_the_same_user_goes_on(
        self, service: Service, owner: User, tokens: dict[str, str]
    ) -> None:
        phone = service.login(owner)
        service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert not self._refused(service, phone["access"])

    def test_after_all_logins_were_ended(self, service: Service, owner: User, access: str) -> None:
        from django.utils import timezone

        Login.objects.filter(user=owner).update(revoked_at=timezone.now())
        assert self._refused(service, access)

    def test_after_a_password_change(self, service: Service, owner: User, access: str) -> None:
        owner.set_password("another one")
        owner.save()
        assert self._refused(service, access)

    def test_after_deactivation(self, service: Service, owner: User, access: str) -> None:
        User.objects.filter(pk=owner.pk).update(is_active=False)
        assert self._refused(service, access)

    def test_after_deletion(self, service: Service, owner: User, access: str) -> None:
        owner.delete()
        assert self._refused(service, access)

    def test_at_the_logins_end(self, service: Service, owner: User, access: str) -> None:
        from django.utils import timezone

        Login.objects.filter(user=owner).update(expires_at=timezone.now() - timedelta(seconds=1))
        assert self._refused(service, access)


class TestBody:
    """Bad input, named."""

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"not JSON", 400),
            (b"[1]", 400),
            (b"[]", 400),
            (b"0", 400),
            (b"false", 400),
            (b'""', 400),
            (b'"text"', 400),
            (b"7", 400),
            (b'{"path": "/ws/nowhere/"}', 400),
            (b'{"path": "ws/echo/"}', 400),
            (b'{"path": "/ws/echo/?a=1"}', 400),
            (b'{"path": ""}', 400),
            (b'{"pth": "/ws/echo/"}', 400),
            (b'{"path": 7}', 400),
            (b'{"path": null}', 400),
            (b'{"path": "/ws/echo/\\u0000"}', 400),
            (b'{"path": "/' + b"x" * 100_000 + b'"}', 400),
            (b"\xff\xfe", 400),
            (b'{"\\ud800": 1}', 400),
            (b'{"path": "/ws/echo/"}' + b" " * 70_000, 400),
            (b"null", 201),
            (b"{}", 201),
            (b"", 201),
            (b'{"path": "/ws/echo/"}', 201),
        ],
    )
    def test_the_body(self, service: Service, access: str, body: bytes, status: int) -> None:
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json"}
        answer = service.http.post("/api/tickets/", content=body, headers=headers)
        assert answer.status_code == status, answer.text
        if status != 201:
            assert answer.headers["Content-Type"] == "application/problem+json"

    def test_it_is_utf_8_whatever_it_says(self, service: Service, access: str) -> None:
        """Others can be slow: punycode takes minutes for what is sent in a moment."""
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json; charset=punycode"}
        answer = service.http.post("/api/tickets/", content=b'{"path": "/ws/echo/"}', headers=headers)
        assert answer.status_code == 201, answer.text

    def test_a_form_is_no_json(self, service: Service, access: str) -> None:
        headers = {"Authorization": f"Bearer {access}"}
        assert service.http.post("/api/tickets/", data={"path": "/"}, headers=headers).status_code == 415

    def test_a_path_may_be_required(self, service: Service, access: str, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_PATH_REQUIRED": True}
        assert service.post("/api/tickets/", token=access).status_code == 400
        assert service.ticket(access, "/ws/echo/")


class TestGuests:
    """Off by default."""

    def test_no_guest_by_default(self, service: Service) -> None:
        assert service.post("/api/tickets/").status_code == 401

    def test_a_guest_ticket_opens_only_what_allows_anonymous(self, service: Service, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "GUEST_TICKETS": True}
        ticket = service.post("/api/tickets/").json()["ticket_uuid"]
        assert service.connect(f"ticket_uuid={ticket}").status == 401

    def test_a_bad_token_never_becomes_a_guest(self, service: Service, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "GUEST_TICKETS": True}
        assert service.post("/api/tickets/", token="bad").status_code == 401
