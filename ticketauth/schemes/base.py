"""What a scheme is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote_plus

from ticketauth.exceptions import Malformed
from ticketauth.types import Identity, Opening, SecurityScheme, Ticket

Scope = dict[str, Any]


class Scheme(Protocol):
    """One way to prove who you are at the opening handshake.

    Attributes:
        name: For the log.
        ambient: Whether browsers add the credential by themselves, as they do with cookies. An ambient credential
            counts only where no explicit one was sent, and only with an allowed Origin.
        challenge: For `WWW-Authenticate` (RFC 9110 11.6.1); empty where HTTP has no word for it.
    """

    name: ClassVar[str]
    ambient: ClassVar[bool]
    challenge: ClassVar[str]

    def find(self, opening: Opening) -> str | None:
        """The credential, or None where this scheme was not used. No I/O.

        Raises:
            Malformed: It was used twice, or is not of the syntax.
        """
        ...

    async def authenticate(self, credential: str, opening: Opening) -> Identity | Ticket:
        """Who that is. Whether they are still allowed is read afterwards.

        Raises:
            Refusal: The credential is no good.
        """
        ...

    def hide(self, scope: Scope) -> Scope:
        """The scope without the credential, for the inner application."""
        ...

    def security_scheme(self) -> SecurityScheme | None:
        """What the AsyncAPI document says of it, or None where a setting has switched it off."""
        ...


def only(values: list[str], what: str) -> str | None:
    """The one value, or None.

    Raises:
        Malformed: There are more.
    """
    if len(values) > 1:
        raise Malformed(f"{what}_twice")
    return values[0] if values else None


def authorization(opening: Opening, kind: str) -> list[str]:
    """The credentials of all `Authorization` headers of a kind (RFC 9110 11.6.2: the kind in any case)."""
    pairs = [value.partition(" ") for value in opening.header("authorization")]
    return [credential.strip(" ") for name, _, credential in pairs if name.lower() == kind]


def without_headers(scope: Scope, unwanted: Callable[[bytes, bytes], bool]) -> Scope:
    """The scope without some headers."""
    return {**scope, "headers": [pair for pair in scope["headers"] if not unwanted(*pair)]}


def without_parameter(scope: Scope, name: str) -> Scope:
    """The scope without a query parameter."""
    parts = scope.get("query_string", b"").split(b"&")
    kept = [part for part in parts if unquote_plus(part.partition(b"=")[0].decode("latin-1")) != name]
    return {**scope, "query_string": b"&".join(kept)}


def without_authorization(scope: Scope, kind: str) -> Scope:
    """The scope without the `Authorization` headers of a kind."""
    prefix = kind.encode()
    return without_headers(
        scope, lambda name, value: name.lower() == b"authorization" and value.split(b" ")[0].lower() == prefix
    )
