"""One line in a project's `urls.py`: `path("api/tickets/", include("ticketauth.urls"))`."""

from __future__ import annotations

from django.urls import path

from .views import TicketView

app_name = "ticketauth"

urlpatterns = [path("", TicketView.as_view(), name="tickets")]
