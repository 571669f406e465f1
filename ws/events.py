"""Messages to users, through the channel layer: at most once, to the sockets that are open now."""

from __future__ import annotations

import hashlib
from typing import Any

from channels.layers import get_channel_layer

from ticketauth import users
from ticketauth.types import OURS, Identity, Issuer, Subject


def group_of(issuer: Issuer, subject: Subject) -> str:
    """The channel layer's group of a user's sockets. Hashed: a subject may hold what a group's name may not."""
    return f"user.{hashlib.sha256(f'{issuer} {subject}'.encode()).hexdigest()}"


def group_for(user: Any, identity: Identity) -> str:
    """The group of a socket: of the user of this project, however they proved it; without one, of the subject."""
    if users.from_claims(identity.issuer):
        return group_of(identity.issuer, identity.subject)
    return group_of(OURS, users.subject_of(user))


async def publish(user: Any, type: str, data: Any) -> None:  # noqa: A002 -- the word on the wire
    """Push an event to all open sockets of a user. Nobody is told where there is none.

    Args:
        user: A user of this project; or the `Identity` of one who exists in claims alone.
        type: The kind of event, at `event` in the message.
        data: Anything that is JSON.
    """
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("CHANNEL_LAYERS is not set")
    known = isinstance(user, Identity)
    group = group_of(user.issuer, user.subject) if known else group_of(OURS, users.subject_of(user))
    await layer.group_send(group, {"type": "push", "event": type, "data": data})
