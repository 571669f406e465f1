"""`manage.py asyncapi`: the AsyncAPI document, printed, or compared with a committed one."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ticketauth import conf
from ticketauth.contract import documents
from ticketauth.exceptions import Misconfigured


class Command(BaseCommand):
    """For the eye, for generators of clients, and for a project's own CI."""

    help = "Print the AsyncAPI document of this project, or compare it with a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to print, or what to compare with."""
        parser.add_argument("--format", choices=["yaml", "json"], default="yaml")
        parser.add_argument("--url", default="", help="where the service is (the first of PUBLIC_URLS)")
        parser.add_argument(
            "--check", metavar="FILE", help="print nothing but the difference, and fail if there is one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print, or compare."""
        try:
            document = documents.document(options["url"] or conf.public_url())
        except Misconfigured as error:
            raise CommandError(str(error)) from error
        from ticketauth.asyncapi import render

        if options["check"]:
            self._compare(Path(options["check"]), document)
            return
        write = render.to_json if options["format"] == "json" else render.to_yaml
        self.stdout.write(write(document), ending="")

    def _compare(self, path: Path, document: dict[str, Any]) -> None:
        committed = _read(path)
        if committed == document:
            self.stdout.write(f"{path} is what runs.")
            return
        from ticketauth.asyncapi import render

        before, after = (render.to_yaml(each).splitlines(keepends=True) for each in (committed, document))
        self.stdout.writelines(difflib.unified_diff(before, after, str(path), "what runs"))
        raise CommandError(f"{path} is not what runs. To take it over: manage.py asyncapi > {path}")


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CommandError(f"{path} is no AsyncAPI document.")
    return content
