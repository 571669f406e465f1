"""The frames of `ticketauth.v1` that the library itself sends and takes, for the AsyncAPI document.

Needs pydantic, `ticketauth[asyncapi]`; what sends and takes them (`guard`, `renewal`) does without.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .wire import ERROR, EXPIRING, RENEWED


class Frame(BaseModel):
    """A JSON text frame."""

    model_config = ConfigDict(extra="forbid")


class Expiring(Frame):
    """The socket ends soon. Sent where `ticketauth.v1` was selected."""

    type: Literal["ticketauth.expiring"] = EXPIRING
    reason: Literal["credential", "age", "idle"] = Field(
        description="`credential`: renew it. `age`: open another socket with a new ticket, then close this one. "
        "`idle`: any message keeps it.",
        examples=["credential"],
    )
    expires_in: int = Field(ge=0, description="Seconds until then.", examples=[60])


class Renew(Frame):
    """Live on with a fresh ticket of the same login. Taken where `ticketauth.v1` was selected.

    The ticket is spent. One of another user, login or path ends the socket with 4403.
    """

    type: Literal["ticketauth.renew"]
    ticket_uuid: str = Field(description="From the ticket endpoint.", examples=["0b1f8f04-6a4c-4d0b-9a53-6b6e0f8c8a0e"])


class Renewed(Frame):
    """The socket lives on."""

    type: Literal["ticketauth.renewed"] = RENEWED
    expires_at: datetime | None = Field(
        description="When it ends now, its greatest age included; null where nothing says so.",
        examples=["2026-01-01T12:00:00Z"],
    )


class NotRenewed(Frame):
    """The ticket was no good, or could not be looked at. The socket stays, and ends when it was to end before."""

    type: Literal["ticketauth.error"] = ERROR
    code: str = Field(
        description="A word for a program: `malformed`, `not_authenticated` or `unavailable`.",
        examples=["not_authenticated"],
    )
    detail: str = Field(
        description="A sentence for a person.",
        examples=["There is no credential, or it is unknown, used or expired. Get a new one and try again."],
    )
    retry_after: int | None = Field(
        default=None,
        description="Seconds to wait before the next attempt; null where nothing says so.",
        examples=[2],
    )
