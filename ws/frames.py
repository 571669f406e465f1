"""The messages of `/ws/events/`, typed: what is not of these types is answered with an `error`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ticketauth.wire import READY

LARGEST_EVENT = 64 * 1024
"""Bytes of an event's frame."""


class Frame(BaseModel):
    """A JSON text frame. Unknown fields are errors: they are typing mistakes."""

    model_config = ConfigDict(extra="forbid")


class Ping(Frame):
    """Answered with a `pong` that has the same `id`: text stays text, a number stays a number."""

    model_config = ConfigDict(strict=True)

    type: Literal["ping"]
    id: str | int = Field(description="Comes back as it came.", examples=["1"])


class Pong(Frame):
    """The answer to a `ping`."""

    type: Literal["pong"] = "pong"
    id: str | int = Field(description="As it came.", examples=["1"])


class User(Frame):
    """Who is connected."""

    id: str = Field(description="Names the user at whoever issued the credential.", examples=["42"])
    username: str = Field(description="Empty where the user has none.", examples=["ada"])


class Ready(Frame):
    """The first frame: the client is authenticated from now on."""

    type: Literal["ticketauth.ready"] = READY
    user: User
    connection_id: str = Field(
        description="Names the socket in the server's log.", examples=["5c0c8e5c8a4f4b6f9d8e7a6b5c4d3e2f"]
    )
    expires_at: datetime | None = Field(
        description="When the credential behind the socket ends; null where nothing says so.",
        examples=["2026-01-01T12:00:00Z"],
    )
    reconnect_within: int = Field(
        description="Seconds over which clients spread their coming back, where a close with 1012 names no time.",
        examples=[5],
    )


class Event(Frame):
    """Something that was published to the user."""

    type: Literal["event"] = "event"
    event: str = Field(description="What kind of event.", examples=["order.shipped"])
    data: Any = Field(description="Whatever was published.", examples=[{"order": 7}])
