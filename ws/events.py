"""Messages to users, through the channel layer: at most once, to the sockets that are open, in their sender's order.

from ws.events import EVERYONE, publish

await publish(user, "order.shipped", {"order": 7})
async_to_sync(publish)(EVERYONE, "news", "in a view that is not asynchronous, and in a shell")
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from enum import Enum
from typing import Any, Final

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from pydantic import ValidationError
from redis.exceptions import RedisError

from ticketauth import users
from ticketauth.exceptions import Unavailable
from ticketauth.models import Login
from ticketauth.types import OURS, Identity, Issuer, Subject

from .frames import LARGEST_EVENT, Event

PUBLISH_SECONDS = 1.2
"""That the channel layer has to take a message. Its connections wait for messages: they never give up."""

ALL_SOCKETS = "everyone"
"""The channel layer's group of them."""


class Everyone(Enum):
    """All who are connected."""

    EVERYONE = "everyone"


EVERYONE: Final = Everyone.EVERYONE


class InvalidEvent(ValueError):
    """It cannot be sent: no JSON, or too large. The message says which."""


def group_of(issuer: Issuer, subject: Subject) -> str:
    """The channel layer's group of a user's sockets. Hashed: a subject may hold what a group's name may not."""
    return f"user.{hashlib.sha256(f'{issuer} {subject}'.encode()).hexdigest()}"


def group_for(user: Any, identity: Identity) -> str:
    """The group of a socket: of the user of this project, however they proved it; without one, of the subject."""
    if users.from_claims(identity.issuer):
        return group_of(identity.issuer, identity.subject)
    return group_of(OURS, users.subject_of(user))


async def publish(to: Any, type: str, data: Any) -> None:  # noqa: A002 -- the word on the wire
    """Push an event to open sockets. Nobody is told where there is none.

    What one sender publishes, each time after the last call has returned, arrives at a socket in this order, as far as
    it arrives. A revocation is never to rest on it.

    Args:
        to: A user of this project; the `Identity` of one who exists in claims alone; a `models.Login`, for the sockets
            of that login and of no other; or `EVERYONE`.
        type: The kind of event, at `event` in the message.
        data: Anything that is JSON. The message has 64 KiB at most.

    Raises:
        InvalidEvent: `data` is no JSON, or too large.
        Unavailable: The channel layer does not take it, or not in `PUBLISH_SECONDS`. It may be delivered all the same.
    """
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("CHANNEL_LAYERS is not set")
    frame = _frame(type, data)
    group, sid = await _address(to)
    # The layer repeats what a failure has left open: by its id a listener knows what it has heard.
    message = {"type": "event", "id": uuid.uuid4().hex, "group": group, "sid": sid, "frame": frame}
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            await layer.group_send(group, message)
    except (RedisError, OSError) as error:
        raise Unavailable("channel_layer") from error


async def _address(to: Any) -> tuple[str, str]:
    """The group, and the login in it; empty for all."""
    if to is EVERYONE:
        return ALL_SOCKETS, ""
    if isinstance(to, Identity):
        return group_of(to.issuer, to.subject), ""
    if isinstance(to, Login):
        # Its user may have to be read.
        subject = await sync_to_async(lambda: users.subject_of(to.user))()
        return group_of(OURS, subject), to.sid
    return group_of(OURS, users.subject_of(to)), ""


def _frame(type: str, data: Any) -> str:  # noqa: A002 -- the word on the wire
    """The message as every socket sends it: written once, whoever hears it."""
    try:
        frame = Event(event=type, data=data).model_dump_json()
    except ValidationError as error:
        raise InvalidEvent(f"The type of an event is a text, not {type!r}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(f"The data are no JSON: {error}") from error
    if (size := len(frame.encode())) > LARGEST_EVENT:
        raise InvalidEvent(f"The message has {size} bytes; {LARGEST_EVENT} is the most.")
    return frame
