"""Every kind of consumer and route that a project may have."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path as django_path
from django.urls import re_path as django_re_path
from pydantic import BaseModel, ConfigDict, Field, RootModel

from ticketauth.consumers import TypedConsumer, receives
from ticketauth.middleware import TicketAuthMiddleware, TicketAuthMiddlewareStack
from ticketauth.schemes.jwt import JWTHeader
from ticketauth.schemes.ticket import TicketQuery

Thing = TypeVar("Thing")

# Django's own are typed for views.
path: Any = django_path
re_path: Any = django_re_path


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    """Where, in metres."""

    x: float
    y: Annotated[float, Field(ge=0, lt=90)]


class Tree(BaseModel):
    """A tree of trees."""

    type: Literal["tree"] = "tree"
    name: Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[a-z]+$", examples=["oak"])]
    children: list[Tree] = []
    parent: Tree | None = None


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: Annotated[Decimal, Field(gt=0)]


class Square(BaseModel):
    kind: Literal["square"]
    side: Annotated[int, Field(multiple_of=5)]


class Draw(BaseModel):
    """Draw a shape.

    It is drawn at once.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"type": "draw", "shape": {"kind": "square", "side": 5}, "at": {"x": 1, "y": 2}}]
        }
    )

    type: Literal["draw"]
    id: UUID | None = None
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    at: Point = Field(description="The middle.")
    colour: Colour = Colour.RED


class Drawn(BaseModel):
    type: Literal["drawn"] = "drawn"
    id: UUID | None = None
    at: datetime
    day: date
    took: timedelta
    level: Level
    corners: tuple[int, str]
    tags: dict[str, list[int]]
    sender: str = Field(alias="from")


class Note(BaseModel):
    """Travels both ways, and looks different: what is sent always has its `seen`."""

    type: Literal["note"] = "note"
    text: str
    seen: bool = False


class Box(BaseModel, Generic[Thing]):
    type: Literal["box"] = "box"
    content: Thing


class Either(RootModel[Annotated[Circle | Square, Field(discriminator="kind")]]):
    """One shape or the other."""


class Drawing(TypedConsumer):
    """A sheet that several draw on.

    Whoever comes late sees `Tree` first.
    """

    pushes = (Tree, Note, Box[int], Box[Tree])
    parameters = {"sheet": "Which sheet.", "layer": "Which layer of it."}

    @receives
    async def draw(self, message: Draw) -> Drawn | None:
        """Draw."""
        return None

    @receives
    async def take_note(self, message: Note) -> Note | Tree:
        """Leave a note.

        It comes back.
        """
        return message


class Shapes(TypedConsumer):
    @receives
    async def shape(self, message: Either) -> None:
        """Take a shape of either kind."""


class Refused(BaseModel):
    type: Literal["refused"] = "refused"
    why: str


class Strict(TypedConsumer):
    def refusal(self, code: str, detail: str) -> Refused:  # type: ignore[override]
        return Refused(why=detail)

    @receives
    async def either(self, message: Draw | Tree) -> None:
        """Takes two messages."""


class Ticker(TypedConsumer):
    """Says something, and takes nothing."""

    pushes = (Note,)


class PlainConsumer(AsyncJsonWebsocketConsumer):
    """Knows nothing of types."""


class SyncConsumer(WebsocketConsumer):
    pass


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application without Channels."""


deep = URLRouter(
    [path("layers/<slug:layer>/", URLRouter([re_path(r"^sheet/(?P<sheet>[0-9a-f]+)/$", Drawing.as_asgi())]))]
)

application = ProtocolTypeRouter(
    {
        "websocket": AllowedHostsOriginValidator(
            URLRouter(
                [
                    path("a/", TicketAuthMiddlewareStack(URLRouter([path("deep/", deep)]))),
                    path("a/shapes/", TicketAuthMiddlewareStack(Shapes.as_asgi())),
                    path("b/shapes/", TicketAuthMiddleware(Shapes.as_asgi(), [TicketQuery()], required=False)),
                    path(
                        "plain/<int:number>/<uuid:key>/", TicketAuthMiddleware(PlainConsumer.as_asgi(), [JWTHeader()])
                    ),
                    path("sync/", AuthMiddlewareStack(SyncConsumer.as_asgi()), name="old-sync"),
                    re_path(r"^groups/(\d+)/(?:x|y)/(\w+)$", bare),
                    path("ticker/", Ticker.as_asgi(), name="ticker"),
                    path("strict/", TicketAuthMiddleware(Strict.as_asgi(), [TicketQuery()])),
                ]
            )
        )
    }
)
