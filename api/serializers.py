"""What the token endpoints take and give."""

from __future__ import annotations

from rest_framework import serializers


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
