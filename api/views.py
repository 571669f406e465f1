"""Login, refresh, logout. The ticket endpoint is the library's own."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from asgiref.sync import async_to_sync
from django.contrib.auth import authenticate
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import RefreshToken

from ticketauth import issuers, logins, logs, users
from ticketauth.exceptions import NotAuthenticated, Refusal
from ticketauth.labels import label_of
from ticketauth.types import Sid
from ticketauth.views import address_of

from . import openapi
from .serializers import Credentials, Refresh, TokenPair
from .throttles import LoginPerAddress, LoginPerUser

HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _pair(refresh: RefreshToken) -> Response:
    body = TokenPair({"access": str(refresh.access_token), "refresh": str(refresh)})
    return Response(body.data, headers=HEADERS)


def valid(serializer: Serializer[Any]) -> dict[str, Any]:
    """What was sent, or a `ValidationError`."""
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


class LoginView(APIView):
    """A step of a login: anybody may take it, and every refusal is logged (ASVS 16.3.1)."""

    permission_classes = ()
    event: ClassVar[str]

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, (Refusal, APIException)):
            logs.refused(self.event, exc, address_of(self.request._request))
        return super().handle_exception(exc)

    def log(self, request: Request, user: str, sid: str) -> None:
        """Log what was granted."""
        facts = {"outcome": "done", "user": user, "sid": sid, "address": address_of(request._request)}
        logs.event(logging.INFO, self.event, facts)


class TokenView(LoginView):
    """`POST /api/token/`: user name and password become a login, with an access and a refresh token."""

    event = "login"
    throttle_classes = (LoginPerAddress, LoginPerUser)

    @openapi.log_in
    def post(self, request: Request) -> Response:
        """Log in."""
        credentials = valid(Credentials(data=request.data))
        user = authenticate(request._request, **credentials)
        if user is None:
            raise NotAuthenticated("password", "User name or password is wrong.")
        refresh = logins.start(user, label_of(request.headers.get("User-Agent", "")))
        self.log(request, users.subject_of(user), refresh["sid"])
        return _pair(refresh)


class RefreshView(LoginView):
    """`POST /api/token/refresh/`: a refresh token becomes the next pair, and is spent."""

    event = "refresh"

    @openapi.refresh
    def post(self, request: Request) -> Response:
        """Rotate."""
        token = valid(Refresh(data=request.data))["refresh"]
        refresh = logins.rotate(async_to_sync(issuers.verify_refresh)(token))
        self.log(request, "", refresh["sid"])
        return _pair(refresh)


class LogoutView(LoginView):
    """`POST /api/token/logout/`: this login is over, with any of its refresh tokens, as often as one likes."""

    event = "logout"

    @openapi.log_out
    def post(self, request: Request) -> Response:
        """End the login."""
        token = valid(Refresh(data=request.data))["refresh"]
        claims = async_to_sync(issuers.verify_refresh)(token, expired_too=True)
        logins.end(Sid(claims["sid"]))
        self.log(request, "", claims["sid"])
        return Response(status=204, headers=HEADERS)
