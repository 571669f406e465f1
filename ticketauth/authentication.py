"""Who asks over HTTP: the same rules as at the handshake, for Django REST framework.

`request.user` is the user, `request.auth` the `types.Identity`.
"""

from __future__ import annotations

import time
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from . import issuers, logins, users
from .exceptions import NotAuthenticated
from .schemes.jwt import JWTHeader
from .schemes.session import Session
from .types import OURS, Identity, SecurityScheme


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>` (RFC 6750 2.1)."""

    async def aauthenticate(self, request: Request) -> tuple[Any, Identity] | None:
        """User and identity, or None where no bearer token was sent.

        Raises:
            NotAuthenticated: The token is no good, or its user or login is over.
        """
        kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        identity = await issuers.verify(token.strip(" "))
        return (await users.read(identity)).user, identity

    def authenticate(self, request: Request) -> tuple[Any, Identity] | None:
        """The same, for synchronous views."""
        return async_to_sync(self.aauthenticate)(request)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    @staticmethod
    def security_scheme() -> SecurityScheme:
        """What the AsyncAPI document says of it."""
        return JWTHeader().security_scheme()


class SessionLoginAuthentication(SessionAuthentication):
    """Django's session, with CSRF protection; the session gets a login of its own."""

    async def aauthenticate(self, request: Request) -> tuple[Any, Identity] | None:
        """User and identity, or None where nobody is logged in.

        Raises:
            PermissionDenied: The CSRF token is missing or wrong.
            NotAuthenticated: The session's login is over.
        """
        return await sync_to_async(self.authenticate)(request)

    def authenticate(self, request: Request) -> tuple[Any, Identity] | None:
        """The same, for synchronous views."""
        found = super().authenticate(request)
        # Where `sessions.AuthenticationMiddleware` has read the login already.
        known = getattr(request._request, "ticketauth_session", None)
        if isinstance(known, NotAuthenticated):
            raise known
        if found is None:
            return None
        user = found[0]
        return user, known or logins.of_session(request._request.session, user)

    @staticmethod
    def security_scheme() -> SecurityScheme:
        """What the AsyncAPI document says of it."""
        return Session().security_scheme()


def identity_of(user: Any, auth: Any) -> Identity:
    """The identity behind a request, whichever class of the project authenticated it."""
    if isinstance(auth, Identity):
        return auth
    if not user.is_authenticated:
        raise NotAuthenticated("no_credential")
    # The class vouches for them now; a revocation is for what was issued before it. A token of simplejwt's says when.
    issued_at = getattr(auth, "payload", {}).get("iat", time.time())
    return Identity(OURS, users.subject_of(user), issued_at=issued_at)
