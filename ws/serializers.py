"""What `POST /api/events/` takes."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ticketauth.types import OURS, Identity, Sid, Subject

from .events import EVERYONE, Everyone

LONGEST_NAME = 255
"""Characters of a subject and of a `sid`."""

LONGEST_TYPE = 100


class Text(serializers.CharField):
    """Nothing that Python can write as a text: `7` is no kind of event, nor a user's subject."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text


class Addressee(serializers.Field[Any, Any, Any, Any]):
    """`"everyone"`, or an object with `user` or `sid`: becomes `EVERYONE`, the `Identity` of a user, or a `Sid`."""

    default_error_messages = {
        "invalid": 'Must be "everyone", an object with "user", or one with "sid".',
    }

    def to_internal_value(self, data: Any) -> Everyone | Identity | Sid:
        if data == "everyone":
            return EVERYONE
        if not isinstance(data, dict) or set(data) not in ({"user"}, {"sid"}):
            self.fail("invalid")
        ((kind, name),) = data.items()
        text = Text(max_length=LONGEST_NAME, trim_whitespace=False).run_validation(name)
        return Sid(text) if kind == "sid" else Identity(OURS, Subject(text))


class Publication(serializers.Serializer[object]):
    """An event, and to whom."""

    to = Addressee()
    type = Text(max_length=LONGEST_TYPE, trim_whitespace=False, help_text="The kind of event.")
    # A Serializer takes its fields off the class, so that this hides none of its own attributes.
    data = serializers.JSONField(allow_null=True, help_text="Whatever is to be told.")  # type: ignore[assignment]

    def to_internal_value(self, data: Any) -> Any:
        """Unknown members are errors: they are typing mistakes."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: ["There is no such member."] for name in unknown})
        return super().to_internal_value(data)
