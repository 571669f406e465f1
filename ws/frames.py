"""The messages of `/ws/events/`, typed: what is not of these types is answered with an `error`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ticketauth.wire import READY

LARGEST_MESSAGE = 64 * 1024
"""Bytes. A larger message is answered with close code 1009."""


class Frame(BaseModel):
    """A JSON text frame. Unknown fields are errors: they are typing mistakes."""

    model_config = ConfigDict(extra="forbid")


class Ping(Frame):
    """Asks for a `pong` with the same id, which is not turned into another type."""

    model_config = ConfigDict(strict=True)

    type: Literal["ping"]
    id: str | int = Field(description="Comes back as it came.")


class Pong(Frame):
    """The answer to a `ping`."""

    type: Literal["pong"] = "pong"
    id: str | int


class User(Frame):
    """Who is connected."""

    id: str
    username: str


class Ready(Frame):
    """The first frame: the client is authenticated from now on."""

    type: Literal["ticketauth.ready"] = READY
    user: User
    connection_id: str
    expires_at: datetime | None = Field(description="When the socket will end; null where nothing says so.")


class Event(Frame):
    """Something that was published to the user."""

    type: Literal["event"] = "event"
    event: str
    data: Any


class Error(Frame):
    """A message was not understood. The socket stays open."""

    type: Literal["error"] = "error"
    code: str
    detail: str
