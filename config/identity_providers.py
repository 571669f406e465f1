"""IDP_* of the environment -> TICKETAUTH["ISSUERS"]."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .env import Env

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def issuers(env: Env) -> dict[str, dict[str, Any]]:
    """The identity provider, if there is one, by its exact `iss`.

    Raises:
        ImproperlyConfigured: Something is missing, or set twice.
    """
    issuer = env.text("IDP_ISSUER")
    if not issuer:
        return {}
    if not env.has("IDP_AUDIENCE"):
        raise ImproperlyConfigured("IDP_AUDIENCE is not set; expected the `aud` of its tokens for us.")
    return {issuer: {"AUDIENCE": env.text("IDP_AUDIENCE"), **_key(env), **_kind(env), **_rest(env)}}


def _key(env: Env) -> dict[str, str]:
    address, key = env.text("IDP_JWKS_URL"), env.secret("IDP_PUBLIC_KEY")
    if bool(address) == bool(key):
        state = "both are" if key else "neither is"
        raise ImproperlyConfigured(f"Of IDP_JWKS_URL and IDP_PUBLIC_KEY, {state} set; expected one of them.")
    return {"JWKS_URL": address} if address else {"KEY": key}


def _kind(env: Env) -> dict[str, Any]:
    """How an access token of this provider is told from its other tokens."""
    claim = env.text("IDP_TOKEN_CLAIM")
    if not claim:
        return {"TYP": env.text("IDP_TOKEN_TYP", "at+jwt")}
    name, equals, value = claim.partition("=")
    if not (name and equals and value):
        raise ImproperlyConfigured(f"IDP_TOKEN_CLAIM is {claim!r}; expected name=value, such as token_use=access.")
    return {"TYP": "", "CLAIM": [name, value]}


def _rest(env: Env) -> dict[str, Any]:
    algorithms = env.items("IDP_ALGORITHMS", ["RS256"])
    if unknown := sorted(set(algorithms) - set(ALGORITHMS)):
        raise ImproperlyConfigured(f"IDP_ALGORITHMS is {unknown[0]!r}; expected some of {', '.join(ALGORITHMS)}.")
    return {"ALGORITHMS": algorithms, "USERS": env.choice("IDP_USERS", "database", ("database", "claims"))}
