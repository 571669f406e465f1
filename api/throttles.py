"""How often a password may be tried (ASVS 6.3.1): per address and per user name."""

from __future__ import annotations

import hashlib
import unicodedata
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from ticketauth.address import network_of
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
        return f"login-address:{network_of(address_of(request._request))}"


class LoginPerUser(LoginThrottle):
    """Of one account, from wherever."""

    def get_cache_key(self, request: Request, view: Any) -> str:
        """The user name, hashed: it may hold anything."""
        name = request.data.get("username", "") if isinstance(request.data, dict) else ""
        # As many spellings as lead to one account, and rather more, are one.
        plain = unicodedata.normalize("NFKC", str(name)).strip().casefold()
        return f"login-user:{hashlib.sha256(plain.encode('utf-8', 'surrogatepass')).hexdigest()}"


def seconds_to_wait(request: HttpRequest) -> float | None:
    """Count an attempt by a login form. None where it may be made."""
    asked: Any = SimpleNamespace(_request=request, data=request.POST.dict())
    throttles = [LoginPerAddress(), LoginPerUser()]
    refused = [throttle for throttle in throttles if not throttle.allow_request(asked, None)]  # type: ignore[arg-type]
    return max(throttle.wait() or 1 for throttle in refused) if refused else None
