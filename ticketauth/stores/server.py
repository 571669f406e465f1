"""Addresses of Redis-protocol servers: a single node, Sentinel, a Cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

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
    """

    kind: Literal["single", "sentinel", "cluster"]
    nodes: tuple[tuple[str, int], ...]
    tls: bool = False
    path: str = ""
    service: str = ""
    db: int = 0
    username: str = ""
    password: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """The server that a URL names.

        Raises:
            Misconfigured: The URL is not of a known form. The message does not repeat the password.
        """
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            raise Misconfigured(f"The address scheme {parts.scheme!r} is not known; {_EXPECTED}.")
        kind, tls = _SCHEMES[parts.scheme]
        userinfo, _, hosts = parts.netloc.rpartition("@")
        username, _, password = userinfo.partition(":")
        try:
            service, db = _service_and_db(kind, parts)
            nodes = tuple(_node(host, 26379 if kind == "sentinel" else 6379) for host in hosts.split(",") if host)
        except ValueError as error:
            raise Misconfigured(f"The address of the {kind} server is not understood ({error}); {_EXPECTED}.") from None
        if not nodes and parts.scheme != "unix":
            raise Misconfigured(f"The address of the {kind} server names no host; {_EXPECTED}.")
        if kind == "single" and len(nodes) > 1:
            raise Misconfigured(f"{parts.scheme}:// takes one host; {_EXPECTED}.")
        return cls(
            kind=kind,
            nodes=nodes,
            tls=tls,
            path=unquote(parts.path) if parts.scheme == "unix" else "",
            service=service,
            db=db,
            username=unquote(username),
            password=unquote(password),
        )

    @property
    def credentials(self) -> dict[str, str]:
        """`username` and `password` as redis-py takes them, where there are any."""
        given = {"username": self.username, "password": self.password}
        return {name: value for name, value in given.items() if value}


def _node(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"no host in {text!r}")
    return parts.hostname, parts.port or default_port


def _service_and_db(kind: str, parts: SplitResult) -> tuple[str, int]:
    if parts.scheme == "unix":
        query = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
        return "", int(query.get("db", "0"))
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    if kind == "sentinel":
        if not segments:
            raise ValueError("no service name")
        return segments[0], int(segments[1]) if len(segments) > 1 else 0
    if kind == "cluster" and segments:
        raise ValueError("a Cluster has no database numbers")
    return "", int(segments[0]) if segments else 0
