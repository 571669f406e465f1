"""`POST /api/events/`: staff publish to those who are connected."""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import async_to_sync
from django.utils import timezone
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ticketauth import logs, users
from ticketauth.authentication import BearerAuthentication, SessionLoginAuthentication, identity_of
from ticketauth.exceptions import Refusal
from ticketauth.models import Login
from ticketauth.types import Identity
from ticketauth.views import address_of

from . import openapi
from .events import EVERYONE, Everyone, InvalidEvent, publish
from .serializers import Publication

HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class EventsView(APIView):
    """For users with `is_staff`, by access token or session. Every call is logged, without the data."""

    authentication_classes = (BearerAuthentication, SessionLoginAuthentication)
    permission_classes = ()

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, (Refusal, APIException)):
            logs.refused("publish", exc, address_of(self.request._request))
        return super().handle_exception(exc)

    @openapi.publish
    def post(self, request: Request) -> Response:
        """Publish. 202 says that the channel layer has it, and nothing of those who hear it."""
        sender = identity_of(request.user, request.auth)
        if not request.user.is_staff:
            raise PermissionDenied
        publication = Publication(data=request.data)
        publication.is_valid(raise_exception=True)
        to, kind, data = (publication.validated_data[name] for name in ("to", "type", "data"))
        try:
            async_to_sync(publish)(_found(to), kind, data)
        except InvalidEvent as error:
            raise ValidationError({"data": [str(error)]}) from None
        facts = {"outcome": "done", "user": sender.subject, "to": _named(to), "type": kind}
        logs.event(logging.INFO, "publish", {**facts, "address": address_of(request._request)})
        return Response(status=202, headers=HEADERS)


def _found(to: Any) -> Any:
    """What `publish` takes.

    Raises:
        NotFound: There is no such user; no such login, or it is over. Staff may know.
    """
    if to is EVERYONE:
        return to
    if isinstance(to, Identity):
        found = users.find(to)
    else:
        logins = Login.objects.select_related("user").filter(revoked_at=None, expires_at__gt=timezone.now())
        found = logins.filter(pk=to).first()
    if found is None:
        raise NotFound
    return found


def _named(to: Everyone | Identity | str) -> str:
    if isinstance(to, Everyone):
        return to.value
    return f"user:{to.subject}" if isinstance(to, Identity) else f"sid:{to}"
