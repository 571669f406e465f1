"""Whose tokens are believed, each by its issuer's own rules, chosen by the exact `iss` (RFC 8725 3.8).

Never by the header's `alg`, `kid`, `jku` or `jwk`: those are the sender's words.
"""

from __future__ import annotations

import asyncio
import functools
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
from rest_framework_simplejwt import settings as simplejwt

from . import conf, users
from .exceptions import NotAuthenticated, Unavailable
from .types import OURS, Identity, Issuer, Sid, Subject

LONGEST_TOKEN = 8192
"""Characters. More than fits a header line of common servers."""

JWKS_LIFETIME = 300.0
"""Seconds that a provider's keys are used without asking again."""

JWKS_COOLDOWN = 10.0
"""Seconds between two requests to a provider, however many unknown `kid`s come."""

JWKS_TIMEOUT = 3.0
"""Seconds that a provider has to answer."""

_LATEST = 253402300799
"""Unix time of the last second of the year 9999. `exp: 1e30` is no time."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)

# What PyJWT, json and int() raise for claims that are signed and absurd.
_NOT_A_TOKEN = (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError)


async def verify(token: str) -> Identity:
    """Who an access token says somebody is, once its signature and claims are checked.

    Args:
        token: A compact JWS (RFC 7515 3.1).

    Raises:
        NotAuthenticated: It is no access token of an issuer that is known here. The user is not read.
        Unavailable: The identity provider's keys cannot be had.
    """
    headers, claims = _peek(token)
    issuer = claims.get("iss")
    provider = conf.current().ISSUERS.get(issuer) if isinstance(issuer, str) else None
    if provider is not None:
        return await _verify_foreign(token, headers, Issuer(str(issuer)), provider)
    return _identity_of_ours(await _verify_ours(token, headers, "access"))


async def verify_refresh(token: str, *, expired_too: bool = False) -> dict[str, Any]:
    """The claims of a refresh token of ours.

    Args:
        token: A compact JWS.
        expired_too: Whether to take one that has expired, as a logout does.

    Raises:
        NotAuthenticated: It is none, has expired, or names no login.
    """
    headers, _ = _peek(token)
    claims = await _verify_ours(token, headers, "refresh", verify_exp=not expired_too)
    _text(claims.get("sid"), "sid")
    return claims


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not verified: good for choosing the rules, and for nothing else."""
    if len(token) > LONGEST_TOKEN or not _COMPACT.fullmatch(token):
        raise NotAuthenticated("token_syntax")
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except _NOT_A_TOKEN as error:
        raise NotAuthenticated("token_syntax") from error
    if "crit" in parts["header"]:
        # RFC 7515 4.1.11: understood or refused, and there is none that we understand.
        raise NotAuthenticated("token_crit")
    return parts["header"], parts["payload"]


def _decode(
    token: str,
    key: Any,
    algorithms: Sequence[str],
    *,
    audience: Any,
    issuer: str | None,
    required: Sequence[str],
    verify_exp: bool = True,
) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=audience,
            issuer=issuer,
            leeway=simplejwt.api_settings.LEEWAY or 0,
            options={"require": ["exp", *required], "verify_exp": verify_exp},
        )
        for name in ("exp", "iat", "nbf"):
            _check_time(claims.get(name))
    except _NOT_A_TOKEN as error:
        raise NotAuthenticated(f"token_{_snake(error)}") from error
    if issuer is None and "iss" in claims:
        raise NotAuthenticated("token_invalid_issuer")
    return claims


def _check_time(value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LATEST:
        raise ValueError("not a NumericDate")


def _snake(error: Exception) -> str:
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


async def _verify_ours(
    token: str, headers: Mapping[str, Any], token_type: str, *, verify_exp: bool = True
) -> dict[str, Any]:
    _check_algorithm(headers, [simplejwt.api_settings.ALGORITHM])
    jti, type_claim = simplejwt.api_settings.JTI_CLAIM, simplejwt.api_settings.TOKEN_TYPE_CLAIM
    claims = _decode(
        token,
        await _our_key(headers),
        [simplejwt.api_settings.ALGORITHM],
        audience=simplejwt.api_settings.AUDIENCE,
        issuer=simplejwt.api_settings.ISSUER,
        required=[jti],
        verify_exp=verify_exp,
    )
    if not isinstance(claims[jti], str) or not claims[jti]:
        raise NotAuthenticated("token_jti")
    if claims.get(type_claim) != token_type:
        raise NotAuthenticated("token_type")
    return claims


async def _our_key(headers: Mapping[str, Any]) -> Any:
    if simplejwt.api_settings.ALGORITHM.startswith("HS"):
        return simplejwt.api_settings.SIGNING_KEY
    if simplejwt.api_settings.JWK_URL:
        return await key_set(simplejwt.api_settings.JWK_URL).key(headers)
    return simplejwt.api_settings.VERIFYING_KEY


def _identity_of_ours(claims: dict[str, Any]) -> Identity:
    subject = claims.get(simplejwt.api_settings.USER_ID_CLAIM)
    if isinstance(subject, bool) or not isinstance(subject, (str, int)):
        raise NotAuthenticated("token_subject")
    return Identity(
        issuer=OURS,
        subject=Subject(_text(str(subject), "subject")),
        sid=Sid(_text(claims["sid"], "sid")) if "sid" in claims else Sid(""),
        issued_at=claims.get("iat", 0),
        expires_at=claims["exp"],
        claims=claims if users.from_claims(OURS) else {},
        password_claim=_password_claim(claims),
    )


def _password_claim(claims: Mapping[str, Any]) -> str:
    if not simplejwt.api_settings.CHECK_REVOKE_TOKEN or users.from_claims(OURS):
        return ""
    claim = claims.get(simplejwt.api_settings.REVOKE_TOKEN_CLAIM)
    if not isinstance(claim, str) or not claim:
        raise NotAuthenticated("token_password_claim")
    return claim


def _text(value: Any, what: str) -> str:
    """A text that a database takes: not empty, no NUL, no lone surrogate, not long."""
    if not isinstance(value, str) or not 0 < len(value) <= 255 or "\0" in value or not _is_utf8(value):
        raise NotAuthenticated(f"token_{what}")
    return value


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


async def _verify_foreign(
    token: str, headers: Mapping[str, Any], issuer: Issuer, provider: Mapping[str, Any]
) -> Identity:
    """An identity provider's access token: RFC 9068 2.2 and 4, or the claim that the provider marks them with."""
    algorithms = provider.get("ALGORITHMS", ["RS256"])
    _check_algorithm(headers, algorithms)
    _check_kind(headers, provider)
    key = provider.get("KEY") or await key_set(provider["JWKS_URL"]).key(headers)
    claims = _decode(
        token, key, algorithms, audience=provider["AUDIENCE"], issuer=issuer, required=["iss", "aud", "sub"]
    )
    _check_marks(claims, provider)
    return Identity(
        issuer=issuer,
        subject=Subject(_text(claims["sub"], "subject")),
        sid=Sid(_text(claims["sid"], "sid")) if "sid" in claims else Sid(""),
        issued_at=claims.get("iat", 0),
        expires_at=claims["exp"],
        claims=claims if users.from_claims(issuer) else {},
    )


def _check_algorithm(headers: Mapping[str, Any], algorithms: Sequence[str]) -> None:
    """Before a key is asked for: the sets of keys remember theirs for each algorithm (RFC 8725 3.1)."""
    if headers.get("alg") not in algorithms:
        raise NotAuthenticated("token_invalid_algorithm")


def _check_kind(headers: Mapping[str, Any], provider: Mapping[str, Any]) -> None:
    if "CLAIM" in provider:
        return
    kind = str(headers.get("typ", "")).lower().removeprefix("application/")
    if kind != provider.get("TYP", "at+jwt"):
        raise NotAuthenticated("token_typ")


def _check_marks(claims: Mapping[str, Any], provider: Mapping[str, Any]) -> None:
    """Refuse ID tokens (OpenID Connect Core 2) and logout tokens (Back-Channel Logout 2.4), whatever they are typed."""
    if "events" in claims or "at_hash" in claims or "c_hash" in claims:
        raise NotAuthenticated("token_not_access")
    if "CLAIM" in provider:
        name, value = provider["CLAIM"]
        if claims.get(name) != value:
            raise NotAuthenticated("token_not_access")


class KeySet:
    """A provider's keys (RFC 7517), fetched in a thread of their own and cached.

    Args:
        url: Where the provider publishes them.
        fetch: Gets them; raises PyJWT's connection error where it cannot.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[], dict[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch or jwt.PyJWKClient(url, cache_jwk_set=False, timeout=JWKS_TIMEOUT).fetch_data
        self._clock = clock
        self._keys: dict[str | None, dict[str, Any]] = {}
        self._built: dict[tuple[str | None, str], Any] = {}
        self._fetched_at = -math.inf
        self._asked_at = -math.inf
        self._failed = False
        self._fetching: asyncio.Future[None] | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="ticketauth-jwks")

    async def key(self, headers: Mapping[str, Any]) -> Any:
        """The key that a token's header names; where it names none, the only key there is.

        A key that is known is given at once; when it has grown old, the provider is asked meanwhile.

        Raises:
            NotAuthenticated: The provider has no such key, or not for this algorithm.
            Unavailable: The provider cannot be asked, and the key is not among those it gave before.
        """
        kid, algorithm = headers.get("kid"), str(headers.get("alg"))
        if self._clock() - self._fetched_at >= JWKS_LIFETIME:
            self._begin()
        if (known := self._find(kid, algorithm)) is not None:
            return known
        self._begin()
        await self._wait()
        if (found := self._find(kid, algorithm)) is not None:
            return found
        if self._failed:
            raise Unavailable("identity_provider")
        raise NotAuthenticated("token_kid")

    def _find(self, kid: Any, algorithm: str) -> Any:
        if kid is None and len(self._keys) == 1:
            kid = next(iter(self._keys))
        if not isinstance(kid, str | None) or kid not in self._keys:
            return None
        if (kid, algorithm) not in self._built:
            data = self._keys[kid]
            try:
                self._built[kid, algorithm] = jwt.PyJWK(data, None if "alg" in data else algorithm)
            except jwt.PyJWTError as error:
                raise NotAuthenticated("token_key") from error
        return self._built[kid, algorithm]

    def _begin(self) -> None:
        """Ask the provider, unless it is being asked, or was a moment ago."""
        running = self._fetching is not None and not self._fetching.done()
        if running or self._clock() - self._asked_at < JWKS_COOLDOWN:
            return
        self._asked_at = self._clock()
        self._failed = True
        self._fetching = asyncio.ensure_future(self._refresh())

    async def _wait(self) -> None:
        """Wait for an answer that is under way, as long as it may take."""
        fetching = self._fetching
        if fetching is not None and not fetching.done() and fetching.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([fetching], timeout=JWKS_TIMEOUT)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(JWKS_TIMEOUT):
                published = await asyncio.get_running_loop().run_in_executor(self._threads, self._fetch)
            keys = [key for key in published["keys"] if key.get("use", "sig") == "sig"]
            self._keys = {key.get("kid"): key for key in keys}
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, TimeoutError):
            return
        self._built = {}
        self._failed = False
        self._fetched_at = self._clock()


@functools.cache
def key_set(url: str) -> KeySet:
    """The keys at an address, one cache per process."""
    return KeySet(url)
