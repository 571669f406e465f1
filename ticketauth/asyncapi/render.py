"""A document as text."""

from __future__ import annotations

import json
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Every reference written out, and text of several lines as a block."""

    def ignore_aliases(self, data: object) -> bool:
        """Always: an anchor says nothing to a reader."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(document: dict[str, Any]) -> str:
    """YAML, in the order of the document."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def to_json(document: dict[str, Any]) -> str:
    """JSON, in the order of the document."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
