"""`docs/settings.md` says what the code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from tests.docs.tables import ROOT, read, rows, section, settings_rows
from ticketauth import signals
from ticketauth.conf import Settings

TEXT = read("docs/settings.md")


def test_the_table_of_ticketauth_is_the_code() -> None:
    assert rows(section(TEXT, "TICKETAUTH")) == settings_rows()


def _read_by_the_service() -> set[str]:
    """Every name that `config/` reads from the environment."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "config").glob("*.py"))
    readers = r"\benv\.(?:text|flag|whole|number|choice|items|secret|has)\(\s*\"([A-Z_]+)\""
    return set(re.findall(readers, code))


def _documented(heading: str) -> dict[str, list[str]]:
    return {row[0].strip("`"): row[1:] for row in rows(section(TEXT, heading))}


def test_every_variable_that_is_read_is_in_the_table() -> None:
    names = {name.removesuffix("_FILE") for name in _read_by_the_service()}
    assert names, "the pattern finds nothing"
    assert names == set(_documented("Environment of the service"))


def test_every_secret_is_marked() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "config").glob("*.py"))
    secrets = set(re.findall(r"env\.secret\(\s*\"([A-Z_]+)\"", code))
    marked = {name for name, cells in _documented("Environment of the service").items() if cells[0] == "yes"}
    assert marked == secrets


def test_the_keys_that_the_environment_does_not_set_directly_are_named() -> None:
    """All others may be set under their own name."""
    from config.settings import _OWN_RULES

    text = section(TEXT, "Environment of the service")
    missing = {name for name in _OWN_RULES if f"`{name}`" not in text}
    assert not missing


NOT_OF_CONTAINERS = {
    "HOST", "PORT", "DEBUG", "CACHE_ALIAS", "STORE", "JWT_ALGORITHM", "JWT_VERIFYING_KEY",
}  # fmt: skip
"""The image sets them, or they make no sense there: the keys are made at the first start."""


def test_the_containers_are_given_what_can_be_set() -> None:
    from config.library import _is_scalar
    from config.settings import _OWN_RULES

    hints = get_type_hints(Settings)
    names = {name for name, hint in hints.items() if _is_scalar(hint) and name not in _OWN_RULES}
    names |= set(_documented("Environment of the service"))
    environment = yaml.safe_load(read("docker-compose.yml"))["x-service"]["environment"]
    assert {name.removesuffix("_FILE") for name in environment} == names - NOT_OF_CONTAINERS


def _documented_ids() -> dict[str, str]:
    return {
        name.strip("`").removeprefix("ticketauth."): meaning for name, meaning in rows(section(TEXT, "System checks"))
    }


def test_every_system_check_is_in_the_table_with_its_meaning() -> None:
    code = (ROOT / "ticketauth" / "checks.py").read_text(encoding="utf-8")
    docstrings = re.findall(r'"""((?:[EW]\d{3}(?:, )?)+): (.+?)"""', code)
    expected = {name: meaning[0].upper() + meaning[1:] for names, meaning in docstrings for name in names.split(", ")}
    assert expected, "the pattern finds nothing"
    assert _documented_ids() == expected


def test_every_id_that_is_used_is_in_the_table() -> None:
    code = (ROOT / "ticketauth" / "checks.py").read_text(encoding="utf-8")
    assert set(re.findall(r'"ticketauth\.([EW]\d{3})"', code)) == set(_documented_ids())


@pytest.mark.parametrize("name", ["ticket_issued", "ticket_consumed", "ticket_refused"])
def test_the_signals_exist(name: str) -> None:
    assert hasattr(signals, name)
    assert name in section(TEXT, "Signals")


def test_the_commands_exist() -> None:
    commands = {path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")}
    named = set(re.findall(r"^### `manage\.py (\w+)", TEXT, re.MULTILINE))
    assert named == commands


def test_the_helpers_exist() -> None:
    from importlib import import_module

    for module, name in re.findall(r"`(ticketauth\.\w+)\.(\w+)\(", section(TEXT, "Helpers")):
        assert callable(getattr(import_module(module), name)), f"{module}.{name}"


def test_documents_name_no_place_of_a_machine() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        text = Path(path).read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])/(?:work|home|root|tmp|Users)/", text), path.name


def test_the_example_of_permissions_runs(transactional_db: None) -> None:
    from django.contrib.auth.models import Group, User
    from django.db.models.signals import m2m_changed

    example: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.+?)```", section(TEXT, "Who may connect"), re.DOTALL):
        exec(block, example)  # noqa: S102 -- it is ours
    try:
        user = User.objects.create_user("owner")
        user.groups.add(Group.objects.create(name="shop"))
    finally:
        assert m2m_changed.disconnect(example["groups_changed"], sender=User.groups.through)
    assert [example["may_connect"](user, path) for path in ("/ws/orders/", "/ws/echo/")] == [False, True]
