"""`manage.py serve`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from config import serve


class Command(BaseCommand):
    """As `python -m config.serve`."""

    help = "Serves on HOST and PORT with WEB_CONCURRENCY workers, which leave in order."
    # The launcher runs them, as every other.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until a signal comes."""
        serve.main()
