"""What the ticket endpoint takes."""

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
