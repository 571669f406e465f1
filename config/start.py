"""What every way to start has in common."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured

from ticketauth.exceptions import Misconfigured


@contextmanager
def sentence_instead_of_traceback() -> Iterator[None]:
    """A setting that cannot work ends the process with its sentence and nothing else."""
    try:
        yield
    except (ImproperlyConfigured, Misconfigured) as error:
        sys.exit(f"{error}")
