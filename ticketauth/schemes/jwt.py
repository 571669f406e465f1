"""A JWT access token: in the `Authorization` header, in a cookie, or (off by default) in the query."""

from __future__ import annotations

from typing import ClassVar

from ticketauth import conf, issuers
from ticketauth.exceptions import NotAuthenticated
from ticketauth.types import Identity, Opening, SecurityScheme

from .base import Scope, authorization, only, without_authorization, without_headers, without_parameter


class _JWTScheme:
    """What the three have in common."""

    challenge: ClassVar[str] = ""

    async def authenticate(self, credential: str, opening: Opening) -> Identity:
        return await issuers.verify(credential)


class JWTHeader(_JWTScheme):
    """`Authorization: Bearer <access token>` (RFC 6750 2.1): for clients that can set headers."""

    name: ClassVar[str] = "jwt_header"
    ambient: ClassVar[bool] = False
    challenge: ClassVar[str] = "Bearer"

    def find(self, opening: Opening) -> str | None:
        return only(authorization(opening, "bearer"), "bearer")

    def hide(self, scope: Scope) -> Scope:
        return without_authorization(scope, "bearer")

    def security_scheme(self) -> SecurityScheme:
        said = "Access token, sent as `Authorization: Bearer <token>` by clients that can set headers."
        definition = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": said}
        return SecurityScheme("bearerAuth", definition, self.name)


class JWTCookie(_JWTScheme):
    """A cookie that holds the access token. Browsers send it by themselves: Origin must be on the list."""

    name: ClassVar[str] = "jwt_cookie"
    ambient: ClassVar[bool] = True

    def find(self, opening: Opening) -> str | None:
        values = opening.cookie(conf.current().JWT_COOKIE)
        if len(values) > 1:
            # One of them may be planted by a sibling subdomain (RFC 6265 8.6), and nobody can tell which.
            raise NotAuthenticated("cookie_twice")
        return values[0] if values else None

    def hide(self, scope: Scope) -> Scope:
        name = conf.current().JWT_COOKIE
        cookies = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == b"cookie"]
        parts = [part.strip() for value in cookies for part in value.split(";")]
        kept = [part for part in parts if part.partition("=")[0].strip() != name]
        bare = without_headers(scope, lambda key, value: key.lower() == b"cookie")
        if kept:
            bare["headers"].append((b"cookie", "; ".join(kept).encode("latin-1")))
        return bare

    def security_scheme(self) -> SecurityScheme:
        said = (
            "Access token in an `HttpOnly` cookie that the project sets. Browsers send it by themselves: their "
            "`Origin` must be an allowed one."
        )
        name = conf.current().JWT_COOKIE
        definition = {"type": "httpApiKey", "in": "cookie", "name": name, "description": said}
        return SecurityScheme("jwtCookie", definition, self.name)


class JWTQuery(_JWTScheme):
    """`?token=<access token>`. It ends up in logs and histories, and works until it expires (RFC 9700 4.3.2)."""

    name: ClassVar[str] = "jwt_query"
    ambient: ClassVar[bool] = False

    def find(self, opening: Opening) -> str | None:
        given = conf.current()
        return only(opening.parameter(given.JWT_QUERY_PARAM), "token") if given.JWT_QUERY else None

    def hide(self, scope: Scope) -> Scope:
        return without_parameter(scope, conf.current().JWT_QUERY_PARAM)

    def security_scheme(self) -> SecurityScheme | None:
        if not conf.current().JWT_QUERY:
            return None
        name = conf.current().JWT_QUERY_PARAM
        said = f"Access token, sent as `?{name}=<token>`. Discouraged: it ends up in logs, and works until it expires."
        definition = {"type": "httpApiKey", "in": "query", "name": name, "description": said}
        return SecurityScheme("jwtQuery", definition, self.name)
