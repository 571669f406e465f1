"""How often a password may be tried (ASVS 6.3.1): per address and per user name."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from ticketauth.views import address_of


class LoginThrottle(SimpleRateThrottle):
    """`LOGIN_RATE`; `0` switches it off."""

    def get_rate(self) -> str | None:
        """Read at the moment of use."""
        rate: str = settings.LOGIN_RATE
        return None if rate == "0" else rate


class LoginPerAddress(LoginThrottle):
    """Of one client, through the trusted proxies; never by a header that the client wrote."""

    def get_cache_key(self, request: Request, view: Any) -> str:
        """The address."""
        return f"login-address:{address_of(request._request)}"


class LoginPerUser(LoginThrottle):
    """Of one account, from wherever."""

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        """The user name, hashed: it may hold anything."""
        name = request.data.get("username") if isinstance(request.data, dict) else None
        if not isinstance(name, str):
            return None
        return f"login-user:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
