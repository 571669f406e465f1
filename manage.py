#!/usr/bin/env python
"""Django's commands with the service's settings."""

import os
import sys

from config.start import sentence_instead_of_traceback

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with sentence_instead_of_traceback():
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
