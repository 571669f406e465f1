"""One's own sockets: which are open, and their end."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from ticketauth import registry, users

from . import openapi
from .serializers import Connection
from .sessions import OwnLoginsView
from .views import HEADERS

MOST_LISTED = 200
"""Of the newest."""


class ConnectionsView(OwnLoginsView):
    """`GET /api/connections/`."""

    event = "connections"

    @openapi.list_connections
    def get(self, request: Request) -> Response:
        """Those of all one's logins, the newest first."""
        owner = users.owner_of(request.user, self.identity(request))
        own = async_to_sync(registry.sockets().of_owner)(*owner, MOST_LISTED)
        return Response(Connection(own, many=True).data, headers=HEADERS)


class ConnectionView(OwnLoginsView):
    """`DELETE /api/connections/<connection_id>/`."""

    event = "disconnect"

    @openapi.end_connection
    def delete(self, request: Request, connection_id: str) -> Response:
        """Have it closed. 404 for a stranger's, as for one that is not open."""
        owner = users.owner_of(request.user, self.identity(request))
        if not async_to_sync(registry.end)([connection_id], owner):
            raise NotFound
        return self.done(request, connection_id=connection_id)
