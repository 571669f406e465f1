"""`POST /api/tickets/`: a credential becomes a ticket."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from rest_framework import exceptions as drf
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from . import conf, logs, problems, routing, tickets
from .address import client_address, network_of
from .authentication import BearerAuthentication, SessionLoginAuthentication, identity_of
from .exceptions import NotAuthenticated, Refusal
from .parsers import JSONParser
from .serializers import TicketRequest
from .signals import announce, ticket_issued, ticket_refused
from .stores.base import Limit
from .types import GUEST, Identity, Ticket

LONGEST_BODY = 65536
"""Bytes of a request for a ticket."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def address_of(request: HttpRequest) -> str:
    """The client's address, through the trusted proxies."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    return client_address(request.META.get("REMOTE_ADDR", ""), [forwarded] if forwarded else [], conf.trusted_proxies())


class TicketView(APIView):
    """Issues a ticket to whoever the authentication classes recognise.

    A class of the project's own works here too; one that has `aauthenticate` does not cost a thread. So do a subclass's
    `permission_classes` and `throttle_classes`, in a thread.
    """

    http_method_names = ["post", "options"]
    authentication_classes: Sequence[type[BaseAuthentication]] = (BearerAuthentication, SessionLoginAuthentication)
    permission_classes: Sequence[type[BasePermission]] = ()
    throttle_classes: Sequence[type[BaseThrottle]] = ()
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view; never inside a transaction of `ATOMIC_REQUESTS`, which cannot wrap an asynchronous one."""
        return transaction.non_atomic_requests(super().as_view(**initkwargs))

    view_is_async = True
    """Django asks, to know how to call the view."""

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """What Django REST framework's own does, without leaving the event loop."""
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = {**self.default_response_headers, **_HEADERS}
        try:
            self.format_kwarg = None
            # There is one renderer, and whoever accepts nothing of the kind gets JSON all the same.
            self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
            response = await self._respond(self.request)
        except Exception as exc:  # noqa: BLE001 -- handle_exception raises again what is no refusal
            response = self.handle_exception(exc)
        self.response = self.finalize_response(self.request, response, *args, **kwargs)
        return self.response

    def get_exception_handler(self) -> Callable[..., Response | None]:
        """Problems, whatever handler the project has for its other views."""
        return problems.exception_handler

    async def _respond(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status=204)
        if request.method != "POST":
            raise drf.MethodNotAllowed(str(request.method))
        try:
            return await self.post(request)
        except (Refusal, drf.APIException) as refusal:
            address = address_of(request._request)
            reason = logs.refused("issue", refusal, address)
            await announce(ticket_refused, type(self), reason=reason, connection_id=None, address=address)
            raise

    async def post(self, request: Request) -> Response:
        """Issue a ticket."""
        identity = await self._identify(request)
        await self._check(request)
        address = address_of(request._request)
        ticket = Ticket(
            identity,
            path=self._path(request),
            address=address if conf.current().TICKET_BIND_ADDRESS else "",
            claims=await self._claims(request, identity),
        )
        given = conf.current()
        issued = await tickets.issue(
            conf.store(), ticket, ttl=given.TICKET_TTL, secret=given.TICKET_SECRET, limits=_limits(identity, address)
        )
        facts = {"user": identity.subject, "issuer": identity.issuer, "sid": identity.sid, "address": address}
        fingerprint = logs.fingerprint(issued.value)
        logs.event(
            logging.INFO, "issue", {"outcome": "issued", **facts, "path": ticket.path, "credential": fingerprint}
        )
        await announce(ticket_issued, type(self), identity=identity, path=ticket.path, address=address)
        ends = datetime.fromtimestamp(issued.expires_at, UTC).isoformat().replace("+00:00", "Z")
        body = {"ticket_uuid": issued.value, "expires_in": issued.expires_in, "expires_at": ends}
        return Response(body, status=201)

    async def _identify(self, request: Request) -> Identity:
        for authenticator in request.authenticators or ():
            authenticate = getattr(authenticator, "aauthenticate", None) or sync_to_async(authenticator.authenticate)
            found = await authenticate(request)
            if found is not None:
                request.user, request.auth = found
                return identity_of(*found)
        if conf.current().GUEST_TICKETS:
            # Known from here on: who asks for it must not authenticate once more, in the event loop.
            request.user, request.auth = AnonymousUser(), None
            return GUEST
        raise NotAuthenticated("no_credential")

    async def _check(self, request: Request) -> None:
        """What a project's subclass asks beyond our own."""
        if self.permission_classes:
            await sync_to_async(self.check_permissions)(request)
        if self.throttle_classes:
            await sync_to_async(self.check_throttles)(request)

    def _path(self, request: Request) -> str:
        # It is read in the event loop.
        if len(request._request.body) > LONGEST_BODY:
            raise drf.ParseError(f"The body is longer than {LONGEST_BODY} bytes.")
        body: Any = request.data
        path = self._member_path(body) if body is not None and body != {} else ""
        if not path and conf.current().TICKET_PATH_REQUIRED:
            raise drf.ValidationError({"path": ["This field is required."]})
        application = routing.project_application() if path else None
        if application is not None and not routing.resolves(application, path):
            raise drf.ValidationError({"path": ["There is no WebSocket at this path."]})
        return path

    def _member_path(self, body: Any) -> str:
        serializer = TicketRequest(data=body)
        serializer.is_valid(raise_exception=True)
        unknown = sorted(set(body) - set(serializer.fields))
        if unknown and not conf.current().TICKET_CLAIMS:
            raise drf.ValidationError({unknown[0]: ["There is no such member."]})
        path: str = serializer.validated_data.get("path", "")
        return path

    async def _claims(self, request: Request, identity: Identity) -> Mapping[str, Any]:
        add = conf.ticket_claims()
        if add is None:
            return {}
        if inspect.iscoroutinefunction(add):
            claims: Mapping[str, Any] = await add(request, identity)
            return claims
        return await sync_to_async(add)(request, identity)


def _limits(identity: Identity, address: str) -> tuple[Limit, ...]:
    who = None if identity.is_guest else f"user:{identity.issuer}:{identity.subject}"
    wanted = ((who, conf.rate_per_user()), (f"address:{network_of(address)}", conf.rate_per_address()))
    return tuple(Limit(key, rate) for key, rate in wanted if key and rate)
