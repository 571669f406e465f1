"""The service's addresses."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from api.throttles import throttled_login
from ws.views import EventsView

urlpatterns = [
    path("admin/login/", throttled_login(admin.site.login)),
    path("admin/", admin.site.urls),
    path("api/events/", EventsView.as_view(), name="publish"),
    path("", include("api.urls")),
    path("ws/", include("ticketauth.contract.urls")),
]

handler400 = "api.errors.bad_request"
handler403 = "api.errors.permission_denied"
handler404 = "api.errors.not_found"
handler500 = "api.errors.server_error"
