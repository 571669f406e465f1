"""Tokens of an identity provider, by that issuer's own rules."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from asgiref.sync import async_to_sync
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.contrib.auth.models import User
from django.utils import timezone

from tests.conftest import Service
from ticketauth import issuers
from ticketauth.models import ForeignIdentity, Revocation
from ticketauth.types import Identity, Issuer, Subject
from ws.events import publish

ISSUER = "https://idp.example"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


UNVERIFIED: Any = {"verify_signature": False}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _pem(key: Any) -> str:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()  # fmt: skip


class Provider:
    """An identity provider's key server, which counts how often it is asked."""

    def __init__(self) -> None:
        provider = self
        self.asked = 0
        self.up = True

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(200 if provider.up else 500)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": provider.keys()}).encode())

            def log_message(self, *args: object) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keys(self) -> list[dict[str, Any]]:
        return [
            {**jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "rsa", "use": "sig"},
            {**jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "ec", "use": "sig"},
        ]

    def token(
        self, key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "rsa", typ: str = "at+jwt", **claims: Any
    ) -> str:
        now = int(time.time())
        merged = {"iss": ISSUER, "aud": "sockets", "sub": "1", "iat": now, "exp": now + 60, **claims}
        given = {name: value for name, value in merged.items() if value is not ...}
        return jwt.encode(given, key, algorithm, {"typ": typ, **({"kid": kid} if kid else {})})


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()
    issuers.key_set.cache_clear()


@pytest.fixture
def rules(settings, provider: Provider) -> dict[str, Any]:
    """The provider's entry in ISSUERS; a test may change it."""
    entry = {"AUDIENCE": "sockets", "JWKS_URL": provider.url, "ALGORITHMS": ["RS256", "ES256"], "USERS": "claims"}
    settings.TICKETAUTH = {**settings.TICKETAUTH, "ISSUERS": {ISSUER: entry}}
    return entry


def status(service: Service, token: str) -> int:
    return service.post("/api/tickets/", token=token).status_code


@pytest.mark.usefixtures("rules")
class TestAccessTokens:
    def test_rs256_and_es256(self, service: Service, provider: Provider) -> None:
        assert status(service, provider.token()) == 201
        assert status(service, provider.token(EC_KEY, "ES256", "ec")) == 201

    @pytest.mark.parametrize(
        "odd",
        [
            {"aud": "mail"},
            {"aud": ...},
            {"sub": ...},
            {"sub": 1},
            {"sub": ""},
            {"sub": "\0"},
            {"exp": ...},
            {"exp": 1},
            {"exp": 1e30},
            {"iss": "https://idp.example/"},
            {"typ": "JWT"},
            {"typ": "logout+jwt"},
            {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
            {"at_hash": "x"},
            {"nbf": 9999999999},
            {"kid": "unknown"},
            {"kid": None},
            {"kid": "ec"},
        ],
    )
    def test_no_other_token(self, service: Service, provider: Provider, odd: dict) -> None:
        assert status(service, provider.token(**odd)) == 401

    def test_not_signed_with_another_key(self, service: Service, provider: Provider) -> None:
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        assert status(service, provider.token(other)) == 401

    def test_not_signed_with_the_public_key_as_a_secret(self, service: Service, provider: Provider) -> None:
        # RFC 8725 2.1; made by hand, for PyJWT refuses to make one.
        parts = [{"alg": "HS256", "typ": "at+jwt", "kid": "rsa"}, jwt.decode(provider.token(), options=UNVERIFIED)]
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
        signature = hmac.digest(_pem(RSA_KEY).encode(), signed.encode(), "sha256")
        token = f"{signed}.{_base64url(signature)}"
        assert status(service, token) == 401

    @pytest.mark.parametrize("algorithm", ["none", "PS256", "x" * 1000, None, []])
    def test_no_key_is_asked_for_by_another_algorithm(self, service: Service, provider: Provider, algorithm) -> None:
        assert status(service, provider.token()) == 201
        known = len(issuers.key_set(provider.url)._built)
        header = {"alg": algorithm, "typ": "at+jwt", "kid": "rsa"}
        parts = [header, jwt.decode(provider.token(), options=UNVERIFIED)]
        assert status(service, ".".join(_base64url(json.dumps(part).encode()) for part in parts) + ".") == 401
        assert len(issuers.key_set(provider.url)._built) == known

    def test_the_providers_rules_do_not_make_our_own_tokens_pass_with_its_name(self, service: Service, forge) -> None:
        assert status(service, forge.token(iss=ISSUER)) == 401


class TestKinds:
    def test_marked_by_a_claim(self, service: Service, provider: Provider, rules: dict) -> None:
        rules["CLAIM"] = ("token_use", "access")
        assert status(service, provider.token(typ="JWT", token_use="access")) == 201
        assert status(service, provider.token(typ="JWT", token_use="id")) == 401
        assert status(service, provider.token(typ="JWT")) == 401

    def test_a_key_instead_of_an_address(self, service: Service, provider: Provider, rules: dict) -> None:
        del rules["JWKS_URL"]
        rules["KEY"] = _pem(RSA_KEY)
        assert status(service, provider.token()) == 201
        assert provider.asked == 0


class TestKeys:
    @pytest.mark.usefixtures("rules")
    def test_a_flood_of_unknown_kids_is_not_one_at_the_provider(self, service: Service, provider: Provider) -> None:
        assert {status(service, provider.token(kid=f"no-{number}")) for number in range(30)} == {401}
        assert provider.asked <= 2

    @pytest.mark.usefixtures("rules")
    def test_a_provider_that_is_away_is_503(self, service: Service, provider: Provider) -> None:
        provider.up = False
        assert status(service, provider.token()) == 503

    async def test_known_keys_go_on_while_it_is_away(self) -> None:
        now = [0.0]
        up = [True]

        def fetch() -> dict[str, Any]:
            if not up[0]:
                raise jwt.PyJWKClientConnectionError("away")
            return {"keys": Provider.keys(None)}  # type: ignore[arg-type]

        keys = issuers.KeySet("https://idp.example/jwks", fetch, lambda: now[0])
        header = {"kid": "rsa", "alg": "RS256"}
        assert await keys.key(header)
        up[0], now[0] = False, issuers.JWKS_LIFETIME + 1
        assert await keys.key(header)


@pytest.mark.usefixtures("rules")
class TestUsers:
    def test_from_claims_alone(self, service: Service, provider: Provider) -> None:
        with service.connect(headers=[("Authorization", f"Bearer {provider.token()}")], path="/ws/events/") as socket:
            assert socket.json()["user"]["id"] == "1"
            async_to_sync(publish)(Identity(Issuer(ISSUER), Subject("1")), "news", 1)
            assert socket.json()["data"] == 1

    def test_its_subject_1_is_not_our_user_1(self, service: Service, provider: Provider, rules: dict) -> None:
        User.objects.create(pk=1, username="root")
        rules["USERS"] = "database"
        assert status(service, provider.token(sub="1")) == 401

    def test_mapped_by_issuer_and_subject(self, service: Service, provider: Provider, rules: dict, owner: User) -> None:
        rules["USERS"] = "database"
        ForeignIdentity.objects.create(issuer=ISSUER, subject="1", user=owner)
        ticket = service.ticket(provider.token())
        with service.connect(f"ticket_uuid={ticket}", "/ws/events/") as socket:
            assert socket.json()["user"]["username"] == "owner"
            async_to_sync(publish)(owner, "news", 1)
            assert socket.json()["data"] == 1
        User.objects.update(is_active=False)
        assert status(service, provider.token()) == 401

    @pytest.mark.parametrize(
        ("mark", "expected"),
        [
            ({"sid": "s1"}, 401),
            ({"sid": "s2"}, 201),
            ({"sid": ""}, 401),
            ({"subject": "2"}, 201),
            ({"issuer": "https://another.example"}, 201),
            ({"revoked_at": timezone.now() - timedelta(hours=1), "sid": ""}, 201),
        ],
    )
    def test_the_deny_list(self, service: Service, provider: Provider, mark: dict, expected: int) -> None:
        later = timezone.now() + timedelta(hours=1)
        row = {"issuer": ISSUER, "subject": "1", "sid": "", "revoked_at": later, "expires_at": later, **mark}
        Revocation.objects.create(**row)
        assert status(service, provider.token(sid="s1")) == expected

    def test_denied_between_issue_and_handshake(self, service: Service, provider: Provider) -> None:
        ticket = service.ticket(provider.token(sid="s1"))
        now = timezone.now()
        Revocation.objects.create(issuer=ISSUER, subject="1", sid="s1", revoked_at=now, expires_at=now)
        assert service.connect(f"ticket_uuid={ticket}").status == 401


class TestOwnUsersFromClaims:
    """For those who have no user table here: another service of theirs signs the tokens."""

    def test_no_row_is_needed(self, service: Service, forge, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "USERS": "claims"}
        token = forge.token(user_id="4711", sid="elsewhere")
        with service.connect(headers=[("Authorization", f"Bearer {token}")], path="/ws/events/") as socket:
            assert socket.json()["user"]["id"] == "4711"
        ticket = service.ticket(token)
        assert service.connect(f"ticket_uuid={ticket}").accepted
