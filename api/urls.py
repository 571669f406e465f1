"""Where what is."""

from __future__ import annotations

from django.urls import include, path
from django.views.generic import TemplateView

from ticketauth.wire import CLOSES

from .health import readyz
from .views import LogoutView, RefreshView, TokenView

urlpatterns = [
    path("", TemplateView.as_view(template_name="api/index.html", extra_context={"closes": CLOSES}), name="index"),
    path("api/token/", TokenView.as_view(), name="token"),
    path("api/token/refresh/", RefreshView.as_view(), name="refresh"),
    path("api/token/logout/", LogoutView.as_view(), name="logout"),
    path("api/tickets/", include("ticketauth.urls")),
    path("readyz", readyz, name="readyz"),
]
