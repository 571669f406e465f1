"""Login, refresh, logout. The ticket endpoint is the library's own."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth import authenticate
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import RefreshToken

from ticketauth import issuers, logins
from ticketauth.exceptions import NotAuthenticated
from ticketauth.types import Sid

from .serializers import Credentials, Refresh, TokenPair
from .throttles import LoginPerAddress, LoginPerUser

_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _pair(refresh: RefreshToken) -> Response:
    body = TokenPair({"access": str(refresh.access_token), "refresh": str(refresh)})
    return Response(body.data, headers=_HEADERS)


def _valid(serializer: Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


class TokenView(APIView):
    """`POST /api/token/`: user name and password become a login, with an access and a refresh token."""

    permission_classes = ()
    throttle_classes = (LoginPerAddress, LoginPerUser)

    def post(self, request: Request) -> Response:
        """Log in."""
        credentials = _valid(Credentials(data=request.data))
        user = authenticate(request._request, **credentials)
        if user is None:
            raise NotAuthenticated("password", "User name or password is wrong.")
        return _pair(logins.start(user))


class RefreshView(APIView):
    """`POST /api/token/refresh/`: a refresh token becomes the next pair, and is spent."""

    permission_classes = ()

    def post(self, request: Request) -> Response:
        """Rotate."""
        token = _valid(Refresh(data=request.data))["refresh"]
        return _pair(logins.rotate(async_to_sync(issuers.verify_refresh)(token)))


class LogoutView(APIView):
    """`POST /api/token/logout/`: this login is over, with any of its refresh tokens, as often as one likes."""

    permission_classes = ()

    def post(self, request: Request) -> Response:
        """End the login."""
        token = _valid(Refresh(data=request.data))["refresh"]
        claims = async_to_sync(issuers.verify_refresh)(token, expired_too=True)
        logins.end(Sid(claims["sid"]))
        return Response(status=204, headers=_HEADERS)
