"""The settings, and what start-up says of them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from ticketauth import conf
from ticketauth.exceptions import Misconfigured

SOUND: dict[str, Any] = {"ALLOWED_ORIGINS": ["https://good.example"]}
STRONG = {"SIGNING_KEY": "0123456789abcdef0123456789abcdef", "ISSUER": "us", "AUDIENCE": "us"}


def ids(ticketauth: dict[str, Any] | None = None, **others: Any) -> set[str]:
    """The checks of ours that complain."""
    settings = {"SIMPLE_JWT": STRONG, **others, "TICKETAUTH": {**SOUND, **(ticketauth or {})}}
    with override_settings(**settings):
        found = [str(message.id) for message in run_checks()]
    return {id_.partition(".")[2] for id_ in found if id_.startswith("ticketauth.")}


class TestValues:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"TICKET_TLL": 30}, "no key 'TICKET_TLL'"),
            ({"TICKET_TTL": "30"}, "TICKET_TTL.*'30'.*int"),
            ({"TICKET_TTL": True}, "TICKET_TTL.*True.*int"),
            ({"TICKET_SECRET": 1}, "TICKET_SECRET.*bool"),
            ({"ALLOWED_ORIGINS": "https://good.example"}, "ALLOWED_ORIGINS.*list or tuple"),
            ({"REFUSAL_PROFILE": "loud"}, "REFUSAL_PROFILE.*auto, denial, close"),
            ({"ISSUERS": []}, "ISSUERS.*dict"),
            ([], "TICKETAUTH is list"),
            ({"REVOCATION_POLL": 0}, r"'REVOCATION_POLL'\] is 0; expected 0\.01 or more"),
            ({"SOCKET_MAX_AGE": -1}, r"'SOCKET_MAX_AGE'\] is -1; expected 0 or more"),
        ],
    )
    def test_a_wrong_one_names_itself(self, given: Any, words: str) -> None:
        with override_settings(TICKETAUTH=given), pytest.raises(Misconfigured, match=words):
            conf.current()

    def test_a_whole_number_is_a_number_of_seconds(self) -> None:
        with override_settings(TICKETAUTH={"REDIS_DEADLINE": 2}):
            assert conf.current().REDIS_DEADLINE == 2

    def test_each_has_a_meaning(self) -> None:
        assert all(field.metadata["meaning"] for field in fields(conf.Settings))


class TestChecks:
    def test_sound_settings_are_silent(self) -> None:
        assert ids() == set()

    @pytest.mark.parametrize(
        ("given", "id_"),
        [
            ({"TICKET_TLL": 30}, "E001"),
            ({"RATE_PER_USER": "many"}, "E001"),
            ({"TRUSTED_PROXIES": ["everybody"]}, "E001"),
            ({"ALLOWED_ORIGINS": ["https://good.example/"]}, "E001"),
            ({"TICKET_TTL": 61}, "E002"),
            ({"TICKET_TTL": 0}, "E002"),
            ({"JWT_QUERY": True}, "W003"),
            ({"ISSUERS": {"https://idp": {"KEY": "x"}}}, "E004"),
            ({"ISSUERS": {"https://idp": {"AUDIENCE": "x"}}}, "E004"),
            ({"ISSUERS": {"https://idp": {"AUDIENCE": "x", "KEY": "x", "JWKS_URL": "x"}}}, "E004"),
            ({"ISSUERS": {"https://idp": {"AUDIENCE": "x", "KEY": "x", "ALGORITHMS": ["HS256"]}}}, "E004"),
            ({"ISSUERS": {"https://idp": {"AUDIENCE": "x", "KEY": "x", "ALGORITHMS": ["none"]}}}, "E004"),
            ({"ISSUERS": {"https://idp": {"AUDIENCE": "x", "KEY": "x", "AUDIENSE": "x"}}}, "E004"),
            ({"ISSUERS": {"https://idp": {"AUDIENCE": "x", "KEY": "x", "USERS": "ldap"}}}, "E004"),
            ({"ISSUERS": {"https://idp": "x"}}, "E004"),
            ({"SCHEMES": ["nope.Scheme"]}, "E001"),
            ({"TICKET_CLAIMS": "nope.claims"}, "E001"),
            ({"STORE": "nope.Store"}, "E001"),
            ({"ALLOWED_ORIGINS": []}, "W009"),
            ({"CACHE_ALIAS": "missing"}, "E006"),
            ({"ALLOWED_ORIGINS": [], "SCHEMES": ["ticketauth.schemes.session.Session"]}, "E009"),
            ({"ALLOWED_ORIGINS": ["*"]}, "E009"),
            ({"ALLOWED_ORIGINS": ["null"]}, "E009"),
            ({"KEY_PREFIX": "a{b}"}, "E011"),
            ({"KEY_PREFIX": ""}, "E011"),
        ],
    )
    def test_of_the_library(self, given: dict[str, Any], id_: str) -> None:
        assert id_ in ids(given)

    def test_of_simplejwt(self) -> None:
        assert ids(SIMPLE_JWT={**STRONG, "AUDIENCE": None}) == {"W005"}
        assert ids(SIMPLE_JWT={"SIGNING_KEY": STRONG["SIGNING_KEY"]}) == {"W005"}
        foreign = {"ALGORITHM": "RS256", "JWK_URL": "https://idp/keys"}
        assert ids(SIMPLE_JWT=foreign) == {"E005"}

    @pytest.mark.parametrize("key", ["short", "a" * 64, "django-insecure-" + "0123456789abcdef" * 3])
    def test_of_a_weak_key(self, key: str) -> None:
        assert ids(SIMPLE_JWT={**STRONG, "SIGNING_KEY": key}, DEBUG=False) == {"E010"}
        assert ids(SIMPLE_JWT={**STRONG, "SIGNING_KEY": key}, DEBUG=True) == {"W010"}

    def test_of_the_cache(self) -> None:
        alias = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:6379/0"}
        caches = {"default": {**alias, "OPTIONS": {"IGNORE_EXCEPTIONS": True}}}
        assert ids(CACHES=caches) == {"W007"}
        assert ids(CACHES={"default": alias}, DJANGO_REDIS_IGNORE_EXCEPTIONS=True) == {"W007"}
        assert ids(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}) == {"E006"}

    @pytest.mark.parametrize(
        ("hosts", "expected"),
        [
            ([{"address": "redis://127.0.0.1", "socket_timeout": None}], set()),
            ([{"address": "redis://127.0.0.1"}], {"W008"}),
            (["redis://127.0.0.1"], {"W008"}),
            ([("127.0.0.1", 6379)], {"W008"}),
        ],
    )
    def test_of_the_channel_layer(self, hosts: list[Any], expected: set[str]) -> None:
        layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": hosts}}
        assert ids(CHANNEL_LAYERS={"default": layer}) == expected

    def test_each_has_a_hint(self) -> None:
        with override_settings(TICKETAUTH={"JWT_QUERY": True, "TICKET_TTL": 99, "KEY_PREFIX": "{"}):
            messages = [message for message in run_checks() if str(message.id).startswith("ticketauth.")]
        assert len(messages) >= 3
        assert all(message.hint for message in messages)
