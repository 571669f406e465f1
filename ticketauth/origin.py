"""Which pages may connect: an exact-match policy by kind of credential (RFC 6455 10.2, RFC 6454 6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from .exceptions import Misconfigured, OriginRefused

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """The origin of a URL as a browser writes it: lower case, no default port, no path.

    Raises:
        Misconfigured: The URL has no scheme or no host, or is `null` or `*`.
    """
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError as error:
        raise Misconfigured(f"{url!r} is not an origin: {error}.") from None
    if not parts.scheme or not parts.hostname or parts.username is not None:
        raise Misconfigured(f"{url!r} is not an origin; expected one like https://app.example.com.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = f":{port}" if port and port != _DEFAULT_PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{host}{suffix}"


def _named(setting: str, url: str) -> str:
    try:
        return origin_of(url)
    except Misconfigured as error:
        raise Misconfigured(f"{setting}: {error}") from None


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """The origins that may connect."""

    allowed: frozenset[str]

    @classmethod
    def of(cls, allowed_origins: Iterable[str], public_urls: Iterable[str] = ()) -> Self:
        """The allow-list, and the service's own origins (React Native sends the server's).

        Raises:
            Misconfigured: An entry of the list has a path, or is no origin.
        """
        allowed = set()
        for entry in allowed_origins:
            origin = _named("ALLOWED_ORIGINS", entry)
            if urlsplit(entry.strip()).path or "?" in entry or "#" in entry:
                raise Misconfigured(f"ALLOWED_ORIGINS: {entry!r} has more than an origin; did you mean {origin!r}?")
            allowed.add(origin)
        return cls(frozenset(allowed | {_named("PUBLIC_URLS", url) for url in public_urls}))

    def check(self, origins: list[str], *, ambient: bool) -> None:
        """Let the opening handshake pass, or refuse it.

        A browser always sends its page's origin and cannot be made to send another, so a present one must be
        listed, whatever the credential. A client that is not a browser sends none: fine where it shows a
        credential by its own doing; refused where a cookie would speak for it (cross-site WebSocket hijacking).

        Args:
            origins: All `Origin` headers.
            ambient: Whether the credential is one that a browser adds by itself.

        Raises:
            OriginRefused: The origin is foreign, doubled, `null`, or absent with a cookie.
        """
        if len(origins) > 1:
            raise OriginRefused("origin_twice")
        if origins and origins[0] not in self.allowed:
            raise OriginRefused("origin_foreign")
        if not origins and ambient:
            raise OriginRefused("origin_absent")
