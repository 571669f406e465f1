"""The document of a zoo of consumers: what it says, and that it is valid beyond what the official parser sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.asgi import get_asgi_application
from django.test import override_settings

from tests import npm
from ticketauth.asyncapi import document, project, render

from . import zoo

GOLDEN = Path(__file__).with_name("zoo.yaml")


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return document.build(project.contract("https://zoo.example", zoo.application))


def _resolved(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_it_is_the_golden_file(made: dict[str, Any]) -> None:
    """To take a change over: `python -m tests.ticketauth.asyncapi`."""
    assert made == yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))


def test_the_official_parser_finds_nothing(tmp_path: Path, made: dict[str, Any]) -> None:
    for name, text in (("zoo.yaml", render.to_yaml(made)), ("zoo.json", render.to_json(made))):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert npm.run("validate.js", str(tmp_path / "zoo.yaml"), str(tmp_path / "zoo.json")) == [[], []]


def test_the_official_parser_would_find_something(tmp_path: Path, made: dict[str, Any]) -> None:
    wrong = {**made, "operations": {"lost": {"action": "receive", "channel": {"$ref": "#/channels/nowhere"}}}}
    (tmp_path / "wrong.yaml").write_text(render.to_yaml(wrong), encoding="utf-8")
    assert npm.run("validate.js", str(tmp_path / "wrong.yaml"))[0] != []


def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    for reference in _references(made):
        assert _resolved(made, reference) is not None


def test_every_schema_is_one(made: dict[str, Any]) -> None:
    for schema in made["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)


def test_every_example_satisfies_its_schema(made: dict[str, Any]) -> None:
    _has_valid_examples(made)


@pytest.mark.parametrize(
    "setting", [{"TICKET_SECRET": True}, {"TICKET_TTL": 5}, {"TICKET_PATH_REQUIRED": True}], ids=str
)
def test_whatever_the_settings_say(setting: dict[str, Any]) -> None:
    with override_settings(TICKETAUTH=setting):
        _has_valid_examples(document.build(project.contract("https://zoo.example", zoo.application)))


def _has_valid_examples(made: dict[str, Any]) -> None:
    for name, message in made["components"]["messages"].items():
        schema = {"$ref": message["payload"]["$ref"], "components": made["components"]}
        for example in message["examples"]:
            jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(example["payload"])
        assert message["examples"], name


def test_every_parameter_of_an_address_is_declared(made: dict[str, Any]) -> None:
    for channel in made["channels"].values():
        assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel.get("parameters", {}))


def test_a_reply_is_a_message_of_its_channel(made: dict[str, Any]) -> None:
    replies = [operation["reply"] for operation in made["operations"].values() if "reply" in operation]
    assert replies
    for reply in replies:
        channel = reply["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in reply["messages"])


def test_every_route_is_there(made: dict[str, Any]) -> None:
    assert {name: channel["address"] for name, channel in made["channels"].items()} == {
        "tickets": "/api/tickets/",
        "aDeepLayersByLayerSheetBySheet": "/a/deep/layers/{layer}/sheet/{sheet}/",
        "aShapes": "/a/shapes/",
        "bShapes": "/b/shapes/",
        "plainByNumberByKey": "/plain/{number}/{key}/",
        "old-sync": "/sync/",
        "groupsByArg0ByArg1ByArg2": "/groups/{arg0}/{arg1}/{arg2}",
        "ticker": "/ticker/",
        "strict": "/strict/",
    }


@pytest.mark.parametrize(
    ("channel", "schemes", "anonymous"),
    [
        ("aShapes", ["ticket", "ticketSubprotocol", "ticketHeader"], False),
        ("bShapes", ["ticket"], True),
        ("plainByNumberByKey", ["bearerAuth"], False),
        ("old-sync", ["sessionCookie"], True),
        ("ticker", [], True),
    ],
)
def test_a_route_has_the_schemes_that_it_accepts_and_no_other(
    made: dict[str, Any], channel: str, schemes: list[str], anonymous: bool
) -> None:
    assert made["channels"][channel]["x-security"] == schemes
    assert made["channels"][channel]["x-anonymous"] == anonymous
    wanted = [{"$ref": f"#/components/securitySchemes/{scheme}"} for scheme in schemes]
    operations = [op for op in made["operations"].values() if op["channel"]["$ref"] == f"#/channels/{channel}"]
    assert [op.get("security", []) for op in operations] == [wanted] * len(operations)


def test_the_servers_have_all_schemes(made: dict[str, Any]) -> None:
    ids = {name for channel in made["channels"].values() for name in channel["x-security"]}
    assert {ref["$ref"].rsplit("/")[-1] for ref in made["servers"]["websocket"]["security"]} == ids
    assert set(made["components"]["securitySchemes"]) == ids


@override_settings(TICKETAUTH={"JWT_QUERY": False})
def test_a_jwt_in_the_query_is_not_there_while_it_is_off() -> None:
    assert "jwtQuery" not in project.document("https://sockets.example")["components"]["securitySchemes"]


def test_a_message_that_travels_both_ways_has_a_schema_for_each(made: dict[str, Any]) -> None:
    schemas = made["components"]["schemas"]
    assert schemas["Note-Input"]["required"] == ["text"]
    assert set(schemas["Note-Output"]["required"]) == {"type", "text", "seen"}


def test_two_generics_have_names_of_their_own(made: dict[str, Any]) -> None:
    assert {"Box_int_", "Box_Tree_"} <= set(made["components"]["messages"])


def test_a_question_and_its_answer_are_correlated_by_their_id(made: dict[str, Any]) -> None:
    correlated = {name for name, message in made["components"]["messages"].items() if "correlationId" in message}
    assert correlated == {"Draw", "Drawn"}


def test_a_plain_consumer_takes_anything(made: dict[str, Any]) -> None:
    operation = made["operations"]["receivePlainByNumberByKey"]
    assert operation["action"] == "receive"
    assert "messages" not in operation


def test_channels_own_docstrings_are_not_the_consumers(made: dict[str, Any]) -> None:
    assert "summary" not in made["channels"]["old-sync"]


def test_close_codes_are_told_where_they_are_ours(made: dict[str, Any]) -> None:
    assert made["channels"]["aShapes"]["x-close-codes"]["4401"]["retry"] == "new ticket, reconnect"
    assert made["channels"]["ticker"]["x-close-codes"] == {}


def test_it_has_the_facts_that_the_project_gives() -> None:
    with override_settings(TICKETAUTH={"ASYNCAPI_INFO": {"title": "Zoo", "description": "Animals.", "version": "7"}}):
        info = document.build(project.contract("https://zoo.example", zoo.application))["info"]
    assert (info["title"], info["version"]) == ("Zoo", "7")
    assert info["description"].startswith("Animals.\n\n| Close code |")


def test_without_a_ticket_endpoint_there_is_no_http() -> None:
    with override_settings(ROOT_URLCONF="tests.ticketauth.asyncapi.empty_urls"):
        made = document.build(project.contract("https://zoo.example", zoo.application))
    assert set(made["servers"]) == {"websocket"}
    assert "tickets" not in made["channels"]


def test_yaml_and_json_say_the_same(made: dict[str, Any]) -> None:
    assert yaml.safe_load(render.to_yaml(made)) == yaml.safe_load(render.to_json(made)) == made


@pytest.mark.parametrize("application", [None, get_asgi_application()], ids=["none", "Django alone"])
def test_where_there_is_no_websocket_none_is_told_of(application: Any) -> None:
    assert list(document.build(project.contract("https://zoo.example", application))["channels"]) == ["tickets"]


def test_behind_a_prefix_the_servers_have_it_and_the_addresses_have_not() -> None:
    made = document.build(project.contract("https://zoo.example/app", zoo.application))
    assert made["servers"]["websocket"]["pathname"] == "/app"
    assert made["channels"]["ticker"]["address"] == "/ticker/"
    assert "`wss://zoo.example/app/" in made["info"]["description"]


def test_what_is_sent_may_have_more_members_one_day(made: dict[str, Any]) -> None:
    assert "additionalProperties" not in made["components"]["schemas"]["Error"]
