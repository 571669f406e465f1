"""What the ticket endpoint takes and gives."""

from __future__ import annotations

from rest_framework import serializers

LONGEST_PATH = 1024


class TicketRequest(serializers.Serializer[object]):
    """The body of `POST /api/tickets/`, all of it optional."""

    path = serializers.CharField(
        required=False,
        max_length=LONGEST_PATH,
        trim_whitespace=False,
        help_text="The only path that the ticket opens, decoded, such as /ws/events/. Without it, every one.",
    )

    def validate_path(self, value: str) -> str:
        """A path begins with a slash and has no query."""
        if not value.startswith("/") or "?" in value or "#" in value:
            raise serializers.ValidationError("This is no path. Expected one like /ws/events/, without query.")
        return value


class TicketResponse(serializers.Serializer[object]):
    """The body of the 201."""

    ticket_uuid = serializers.CharField(help_text="The ticket: works once, for expires_in seconds.")
    expires_in = serializers.IntegerField(help_text="Seconds.")
    expires_at = serializers.DateTimeField(help_text="RFC 3339, UTC.")
