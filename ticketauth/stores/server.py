"""Addresses of Redis-protocol servers: a single node, Sentinel, a Cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ticketauth.exceptions import Misconfigured

_SCHEMES: dict[str, tuple[Literal["single", "sentinel", "cluster"], bool]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "unix": ("single", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_EXPECTED = (
    "expected redis://host:port/db, rediss://…, unix:///path?db=0, "
    "redis+sentinel://host:port,host:port/service/db or redis+cluster://host:port,host:port"
)


_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
"""Query parameters that redis-py, and so the cache, takes too: `rediss://host/0?ssl_ca_certs=/etc/ca.pem`."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a Redis-protocol server is.

    Attributes:
        kind: What speaks there.
        nodes: Host and port of the node, of the Sentinels, or of some nodes of the Cluster; empty for a Unix socket.
        tls: Whether to speak TLS.
        path: The Unix socket; else empty.
        service: The name that the Sentinels know the primary by; else empty.
        db: The number of the database.
        username, password: For AUTH; empty for none.
        tls_options: Such as `ssl_ca_certs`, as redis-py takes them.
    """

    kind: Literal["single", "sentinel", "cluster"]
    nodes: tuple[tuple[str, int], ...]
    tls: bool = False
    path: str = ""
    service: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls_options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, url: str) -> Self:
        """The server that a URL names.

        Raises:
            Misconfigured: The URL is not of a known form. The message repeats neither the password nor a part of it.
        """
        try:
            return cls._parsed(urlsplit(url))
        except ValueError:
            # Its text may quote what stands before the @.
            raise Misconfigured(
                f"The address is not understood; {_EXPECTED}. In a user name or password, "
                "characters like / ? # [ must be percent-encoded."
            ) from None

    @classmethod
    def _parsed(cls, parts: SplitResult) -> Self:
        if parts.scheme not in _SCHEMES:
            raise Misconfigured(f"The address scheme {parts.scheme!r} is not known; {_EXPECTED}.")
        kind, tls = _SCHEMES[parts.scheme]
        userinfo, _, hosts = parts.netloc.rpartition("@")
        username, _, password = userinfo.partition(":")
        query = dict(parse_qsl(parts.query))
        segments = [unquote(segment) for segment in parts.path.split("/") if segment]
        unix = parts.scheme == "unix"
        service = segments.pop(0) if kind == "sentinel" and segments else ""
        server = cls(
            kind=kind,
            nodes=tuple(_node(host, 26379 if kind == "sentinel" else 6379) for host in hosts.split(",") if host),
            tls=tls,
            path=unquote(parts.path) if unix else "",
            service=service,
            db=int(query.get("db") or (segments[0] if segments and not unix else "0")),
            username=unquote(username) or query.get("username", ""),
            password=unquote(password) or query.get("password", ""),
            tls_options=tuple((name, query[name]) for name in _TLS_OPTIONS if name in query) if tls else (),
        )
        if complaint := server._complaint(parts.scheme):
            raise Misconfigured(f"The address {complaint}; {_EXPECTED}.")
        return server

    def _complaint(self, scheme: str) -> str:
        """What is missing or too much; empty if nothing is."""
        complaints = {
            "names no path of a socket": scheme == "unix" and not self.path,
            "has a host; a socket has none, so there are three slashes": scheme == "unix" and bool(self.nodes),
            f"names no host, and {scheme}:// needs one": scheme != "unix" and not self.nodes,
            f"names several hosts, and {scheme}:// takes one": self.kind == "single" and len(self.nodes) > 1,
            "names no service, by which the Sentinels know the primary": self.kind == "sentinel" and not self.service,
            "has a database number, and a Cluster has none": self.kind == "cluster" and self.db != 0,
        }
        return next((complaint for complaint, holds in complaints.items() if holds), "")

    @property
    def credentials(self) -> dict[str, str]:
        """`username` and `password` as redis-py takes them, where there are any."""
        given = {"username": self.username, "password": self.password}
        return {name: value for name, value in given.items() if value}


def _node(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or default_port
