"""The headers of the page: what it may load, and who may frame it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit


def content_security_policy(*, sockets: Iterable[str], assets: Iterable[str]) -> str:
    """The `Content-Security-Policy` of the page: nothing but its own files, and no script that a text becomes.

    Args:
        sockets: Origins to connect to, beside the page's own. Not every browser takes `'self'` for `ws:` as well.
        assets: Addresses of scripts and styles; their origins count where they have one (a CDN).
    """
    hosts = sorted({origin for address in assets if (origin := _origin(address))})
    own = " ".join(["'self'", *hosts])
    connect = " ".join(["'self'", *sorted(set(sockets))])
    rules = {
        "default-src": "'none'",
        "script-src": own,
        "style-src": own,
        "img-src": own,
        "connect-src": connect,
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _origin(address: str) -> str:
    parts = urlsplit(address)
    # An address without a scheme takes the page's (RFC 3986 4.2), and so does a source without one.
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme else parts.netloc
