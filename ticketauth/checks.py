"""Settings that cannot work, or work less safely than they look, named at start-up. Ids are stable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string
from rest_framework_simplejwt import settings as simplejwt

from . import conf, routing
from .exceptions import Misconfigured
from .stores.client import configured_server

SHORTEST_KEY = 32
"""Bytes of an HMAC key (RFC 7518 3.2)."""


def _check(function: Callable[[], Iterable[CheckMessage]]) -> Callable[..., list[CheckMessage]]:
    """Register a check that needs nothing but the settings, and stays silent while `TICKETAUTH` itself is wrong."""

    def run(app_configs: object = None, **kwargs: object) -> list[CheckMessage]:
        try:
            conf.current()
        except Misconfigured:
            return []
        return list(function())

    run.__name__ = function.__name__
    return register(run, Tags.security)


@register(Tags.security)
def settings_are_readable(app_configs: object = None, **kwargs: object) -> list[CheckMessage]:
    """E001: a key or value of `TICKETAUTH` is wrong."""
    try:
        conf.validate()
    except Misconfigured as error:
        return [Error(str(error), hint="See docs/settings.md.", id="ticketauth.E001")]
    return []


@_check
def ttl_is_short() -> Iterable[CheckMessage]:
    """E002: a ticket lives longer than a minute."""
    ttl = conf.current().TICKET_TTL
    if not 1 <= ttl <= conf.LONGEST_TTL:
        yield Error(
            f"TICKET_TTL is {ttl} s; a ticket is a bearer credential in an address.",
            hint=f"Set TICKETAUTH['TICKET_TTL'] to between 1 and {conf.LONGEST_TTL}.",
            id="ticketauth.E002",
        )


@_check
def prefix_is_plain() -> Iterable[CheckMessage]:
    """E011: braces in the prefix would take the keys of one ticket to different nodes of a Cluster."""
    prefix = conf.current().KEY_PREFIX
    if not re.fullmatch(r"[\w.:-]{1,64}", prefix, re.ASCII):
        yield Error(
            f"KEY_PREFIX is {prefix!r}.",
            hint="Set TICKETAUTH['KEY_PREFIX'] to at most 64 letters, digits, and . : _ -",
            id="ticketauth.E011",
        )


@_check
def jwt_stays_out_of_addresses() -> Iterable[CheckMessage]:
    """W003: a JWT is taken from the query."""
    if conf.current().JWT_QUERY:
        yield CheckWarning(
            "JWT_QUERY is on: access tokens in addresses end up in logs and histories (RFC 9700 4.3.2).",
            hint="Use a ticket, and remove TICKETAUTH['JWT_QUERY'].",
            id="ticketauth.W003",
        )


@_check
def issuers_have_their_rules() -> Iterable[CheckMessage]:
    """E004: an identity provider without audience, keys or a sound algorithm."""
    for issuer, provider in conf.current().ISSUERS.items():
        if not isinstance(provider, dict):
            yield Error(
                f"ISSUERS[{issuer!r}] is no dict.", hint="See docs/identity-providers.md.", id="ticketauth.E004"
            )
            continue
        for problem, hint in _provider_problems(issuer, provider):
            yield Error(f"ISSUERS[{issuer!r}] {problem}.", hint=hint, id="ticketauth.E004")


def _provider_problems(issuer: str, provider: Any) -> Iterable[tuple[str, str]]:
    known = {"AUDIENCE", "JWKS_URL", "KEY", "ALGORITHMS", "TYP", "CLAIM", "USERS"}
    if not issuer:
        yield "is no issuer", "The key is the exact `iss` of the provider's tokens."
    if unknown := set(provider) - known:
        yield f"has unknown keys {sorted(unknown)}", f"It knows {sorted(known)}."
    if not provider.get("AUDIENCE"):
        yield (
            "has no AUDIENCE",
            "Set it to what the provider writes into `aud` for this service: else a token for any other works here.",
        )
    if bool(provider.get("JWKS_URL")) == bool(provider.get("KEY")):
        yield (
            "needs one of JWKS_URL and KEY",
            "Set JWKS_URL to the provider's `jwks_uri`, or KEY to its public key in PEM.",
        )
    algorithms = provider.get("ALGORITHMS", ["RS256"])
    if not algorithms or any(not str(name).startswith(("RS", "PS", "ES", "Ed")) for name in algorithms):
        yield f"has ALGORITHMS {algorithms!r}", "Only signatures with a public key: RS256, PS256, ES256, EdDSA."
    if "CLAIM" in provider and len(provider["CLAIM"]) != 2:
        yield "has a CLAIM that is no pair", "For example ('token_use', 'access')."
    if provider.get("USERS", "database") not in ("database", "claims"):
        yield f"has USERS {provider['USERS']!r}", "'database' or 'claims'."


@_check
def own_tokens_name_their_parties() -> Iterable[CheckMessage]:
    """W005, E005: audience and issuer of our own tokens are not checked. simplejwt accepts any by default."""
    missing = [name for name in ("AUDIENCE", "ISSUER") if not getattr(simplejwt.api_settings, name)]
    if not missing:
        return
    names = " and ".join(missing)
    foreign = bool(simplejwt.api_settings.JWK_URL)
    kind = Error if foreign else CheckWarning
    yield kind(
        f"SIMPLE_JWT has no {names}: "
        + (
            "tokens that the provider issues for any other service"
            if foreign
            else "tokens signed with the same key for another purpose"
        )
        + " are not told apart.",
        hint=f"Set {names} in SIMPLE_JWT" + (", or move the provider to TICKETAUTH['ISSUERS']." if foreign else "."),
        id="ticketauth.E005" if foreign else "ticketauth.W005",
    )


@_check
def store_is_reachable_by_settings() -> Iterable[CheckMessage]:
    """E006: no Redis-protocol server is named."""
    if conf.current().STORE != "ticketauth.stores.redis.RedisStore":
        return
    try:
        configured_server()
    except Misconfigured as error:
        yield Error(
            str(error),
            hint="Tickets need a server that runs scripts: Redis 6 or newer, or Valkey.",
            id="ticketauth.E006",
        )


@_check
def cache_does_not_swallow_errors() -> Iterable[CheckMessage]:
    """W007: django-redis hides failures of the cache alias."""
    alias = settings.CACHES.get(conf.current().CACHE_ALIAS, {})
    ignores = alias.get("OPTIONS", {}).get(
        "IGNORE_EXCEPTIONS", getattr(settings, "DJANGO_REDIS_IGNORE_EXCEPTIONS", False)
    )
    if ignores:
        yield CheckWarning(
            f"CACHES[{conf.current().CACHE_ALIAS!r}] has IGNORE_EXCEPTIONS: throttles do not count when Redis is down.",
            hint="Remove IGNORE_EXCEPTIONS and DJANGO_REDIS_IGNORE_EXCEPTIONS for it. Tickets are not affected.",
            id="ticketauth.W007",
        )


@_check
def channel_layer_waits() -> Iterable[CheckMessage]:
    """W008: redis-py closes idle connections of the channel layer, and the sockets on them."""
    for name, layer in getattr(settings, "CHANNEL_LAYERS", {}).items():
        if "channels_redis" not in layer.get("BACKEND", ""):
            continue
        hosts = layer.get("CONFIG", {}).get("hosts", ["default"])
        if any(not isinstance(host, dict) or host.get("socket_timeout", 5) is not None for host in hosts):
            yield CheckWarning(
                f"CHANNEL_LAYERS[{name!r}]: with redis-py 8's default socket_timeout, idle sockets are cut after 5 s.",
                hint="Write each host as {'address': 'redis://…', 'socket_timeout': None}.",
                id="ticketauth.W008",
            )


@_check
def cookies_have_origins() -> Iterable[CheckMessage]:
    """E009, W009: no origin is allowed, which is an error where a cookie may authenticate; or every one is."""
    given = conf.current()
    if "*" in given.ALLOWED_ORIGINS or "null" in given.ALLOWED_ORIGINS:
        yield Error(
            "ALLOWED_ORIGINS has '*' or 'null': any page could connect in the name of its visitor.",
            hint="List the exact origins, like 'https://app.example.com'.",
            id="ticketauth.E009",
        )
    elif not (given.ALLOWED_ORIGINS or given.PUBLIC_URLS) and _takes_cookies(given.SCHEMES):
        yield Error(
            "A scheme takes a cookie, and no origin is allowed: every cookie login would be refused.",
            hint="Set TICKETAUTH['ALLOWED_ORIGINS'] or ['PUBLIC_URLS'], or take the cookie schemes out of SCHEMES.",
            id="ticketauth.E009",
        )
    elif not (given.ALLOWED_ORIGINS or given.PUBLIC_URLS):
        yield CheckWarning(
            "No origin is allowed: every browser will be refused.",
            hint="Set TICKETAUTH['ALLOWED_ORIGINS'] to your pages' origins, like 'https://app.example.com'.",
            id="ticketauth.W009",
        )


def _takes_cookies(schemes: Sequence[str]) -> bool:
    try:
        return any(import_string(path).ambient for path in schemes)
    except ImportError:
        return False  # E001 says so.


@_check
def signing_key_is_strong() -> Iterable[CheckMessage]:
    """E010, W010: an HMAC key that can be guessed. A warning while DEBUG is on."""
    if not simplejwt.api_settings.ALGORITHM.startswith("HS"):
        return
    key = simplejwt.api_settings.SIGNING_KEY or ""
    raw = key.encode() if isinstance(key, str) else key
    if len(raw) >= SHORTEST_KEY and len(set(raw)) >= 8 and b"insecure" not in raw:
        return
    kind = CheckWarning if settings.DEBUG else Error
    yield kind(
        "The key that signs JWTs is weak: whoever guesses it can sign in as any user.",
        hint='Make one: python -c "import secrets; print(secrets.token_urlsafe(48))". Set SIMPLE_JWT["SIGNING_KEY"] '
        "to it (by default it is SECRET_KEY).",
        id="ticketauth.W010" if settings.DEBUG else "ticketauth.E010",
    )


def _mistakes(name: str, id: str, *, shown: bool = True) -> Iterator[CheckMessage]:  # noqa: A002 -- Django's word
    """What is wrong in the contract, where there is one: it is optional, and so is what it is made with.

    Args:
        name: Of the function in `asyncapi.mistakes`.
        id: Of the check.
        shown: Whether it matters only where the document is served.
    """
    if find_spec("pydantic") is None or (shown and not _serves_contract()):
        return
    try:
        application = routing.project_application()
    except Exception:  # noqa: BLE001 -- E012 says so
        return
    from .asyncapi import mistakes

    try:
        for sentence, hint in getattr(mistakes, name)(application):
            yield Error(sentence, hint=hint, id=id)
    except Exception as error:  # noqa: BLE001 -- whatever a project's classes do, its migrations have to run
        yield CheckWarning(
            f"The contract cannot be checked: {type(error).__name__}: {error}.",
            hint="`manage.py asyncapi` shows where.",
            id="ticketauth.W016",
        )


def _serves_contract() -> bool:
    try:
        reverse("ticketauth_contract:json")
    except NoReverseMatch:
        return False
    return True


@_check
def routing_can_be_read() -> Iterable[CheckMessage]:
    """E012: what `ASGI_APPLICATION` names cannot be imported."""
    try:
        routing.project_application()
    except Exception as error:  # noqa: BLE001 -- it is the project's file, and may do anything
        yield Error(
            f"ASGI_APPLICATION ({settings.ASGI_APPLICATION}) cannot be imported: {type(error).__name__}: {error}.",
            hint="Set it to what the server is started with, such as 'mysite.asgi.application', or repair that file.",
            id="ticketauth.E012",
        )


@_check
def routes_have_their_ids() -> Iterable[CheckMessage]:
    """E013: two routes, operations or messages have one id in the AsyncAPI document."""
    return _mistakes("same_ids", "ticketauth.E013")


@_check
def parameters_are_those_of_the_path() -> Iterable[CheckMessage]:
    """E014: a consumer describes other parameters than its path has."""
    return _mistakes("wrong_parameters", "ticketauth.E014")


@_check
def examples_are_valid() -> Iterable[CheckMessage]:
    """E015: an example of a message breaks the schema of that message."""
    return _mistakes("wrong_examples", "ticketauth.E015")


@_check
def handlers_are_typed() -> Iterable[CheckMessage]:
    """E016, W016: a typed handler takes or answers what is no message, messages cannot be told apart, or worse."""
    return _mistakes("unreadable", "ticketauth.E016", shown=False)


@_check
def messages_have_schemas() -> Iterable[CheckMessage]:
    """E017: a message holds what JSON Schema has no word for, so that there is no AsyncAPI document."""
    return _mistakes("without_schema", "ticketauth.E017")
