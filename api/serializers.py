"""What the endpoints of tokens and logins take and give."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from ticketauth.models import Login
from ticketauth.types import LiveSocket, Sid


class Credentials(serializers.Serializer[object]):
    """A user and a password."""

    username = serializers.CharField(max_length=255)
    password = serializers.CharField(max_length=1024, trim_whitespace=False, write_only=True)


class Refresh(serializers.Serializer[object]):
    """A refresh token."""

    refresh = serializers.CharField(max_length=8192)


class TokenPair(serializers.Serializer[object]):
    """An access token, for `Authorization: Bearer`, and the refresh token that gets the next pair."""

    access = serializers.CharField()
    refresh = serializers.CharField()


class Session(serializers.Serializer[object]):
    """A login of one's own."""

    sid = serializers.CharField(help_text="Names it. Not a secret.")
    # A Serializer takes its fields off the class, so that this hides none of its own attributes.
    label = serializers.CharField(  # type: ignore[assignment]
        help_text="What its user agent said of itself; may be empty.", allow_blank=True
    )
    created_at = serializers.DateTimeField()
    last_seen = serializers.DateTimeField(source="refreshed_at", help_text="Its last refresh, or use of its session.")
    expires_at = serializers.DateTimeField(help_text="It is over then, unless it is refreshed or used before.")
    current = serializers.SerializerMethodField(help_text="Whether it is the login that asks.")
    connections = serializers.SerializerMethodField(
        help_text="How many sockets of it are open; null where that cannot be said."
    )

    def get_current(self, login: Login) -> bool:
        """By the `sid` of who asks."""
        current: bool = login.sid == self.context["current"]
        return current

    def get_connections(self, login: Login) -> int | None:
        """By the registry of sockets."""
        counts: Mapping[Sid, int] | None = self.context["connections"]
        return None if counts is None else counts.get(Sid(login.sid), 0)


class Connection(serializers.Serializer[object]):
    """An open socket of one's own."""

    connection_id = serializers.CharField(help_text="Names it. Not a secret.")
    sid = serializers.CharField(help_text="The login that opened it; empty where there is none.", allow_blank=True)
    path = serializers.CharField()
    scheme = serializers.CharField(help_text="How it was let in.")
    address = serializers.CharField(help_text="The client's; may be empty.", allow_blank=True)
    label = serializers.CharField(  # type: ignore[assignment]
        help_text="What its user agent says of itself; may be empty.", allow_blank=True
    )
    since = serializers.SerializerMethodField(help_text="Its handshake.")

    def get_since(self, socket: LiveSocket) -> datetime:
        """From Unix time."""
        return datetime.fromtimestamp(socket.since, UTC)


class JSONBoolean(serializers.Field[bool, Any, bool, Any]):
    """`true` or `false`. A "no" that is taken for one of them would keep or end the wrong logins."""

    default_error_messages = {"invalid": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data

    def to_representation(self, value: bool) -> bool:
        return value


class RevokeAll(serializers.Serializer[object]):
    """Which logins to end."""

    keep_current = JSONBoolean(help_text="Whether the login that asks goes on.")
