"""What every way to start has in common."""

from __future__ import annotations

import errno
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured

from ticketauth.exceptions import Misconfigured

_log = logging.getLogger("config")


@contextmanager
def sentence_instead_of_traceback() -> Iterator[None]:
    """A setting that cannot work ends the process with its sentence and nothing else."""
    try:
        yield
    except (ImproperlyConfigured, Misconfigured) as error:
        sys.exit(str(error))


def require_sane_settings() -> None:
    """Run the system checks, which a server does not do by itself. Warnings go to the log.

    Raises:
        ImproperlyConfigured: There are errors.
    """
    messages = [message for message in run_checks() if not message.is_silenced()]
    for message in messages:
        if not message.is_serious():
            _log.warning("%s", _sentence(message))
    if errors := [_sentence(message) for message in messages if message.is_serious()]:
        raise ImproperlyConfigured("\n".join(errors))


def _sentence(message: CheckMessage) -> str:
    return " ".join(part for part in (f"{message.id}:", message.msg, message.hint) if part)


def require_free(host: str, port: int) -> None:
    """See that HOST and PORT can be listened on.

    Raises:
        ImproperlyConfigured: They cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            problem = f"Port {port} of {host} is taken; set PORT to another, such as PORT={port + 1}."
        else:
            problem = f"HOST is {host!r} and PORT is {port}; expected what this user can listen on ({error.strerror})."
        raise ImproperlyConfigured(problem) from None
