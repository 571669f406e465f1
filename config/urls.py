"""The service's addresses."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from api.pages import another_login, another_logout
from ws.views import EventsView

urlpatterns = [
    path("admin/login/", another_login(admin.site.login)),
    path("admin/logout/", another_logout(admin.site.admin_view(admin.site.logout))),
    path("admin/", admin.site.urls),
    path("api/events/", EventsView.as_view(), name="publish"),
    path("", include("api.urls")),
    path("ws/", include("ticketauth.contract.urls")),
]

handler400 = "api.errors.bad_request"
handler403 = "api.errors.permission_denied"
handler404 = "api.errors.not_found"
handler500 = "api.errors.server_error"
