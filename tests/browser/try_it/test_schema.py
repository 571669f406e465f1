"""The check of a message against its schema, and the places of its mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.try_it.parts import Parts


def faults(parts: Parts, schema: Any, value: Any, root: Any = None) -> list[str]:
    """As the panel lists them."""
    found = parts.run("return parts.schema.check(given[0], given[1], given[2])", [schema, value, root or {}])
    return [f"{fault['pointer']} {fault['message']}".strip() for fault in found]


GOOD: list[tuple[Any, Any]] = [
    (True, 1),
    ({}, {"any": "thing"}),
    ({"type": "string"}, ""),
    ({"type": "integer"}, 3.0),
    ({"type": ["string", "null"]}, None),
    ({"const": {"a": [1]}}, {"a": [1]}),
    ({"enum": ["a", 1, None]}, None),
    ({"minimum": 1, "maximum": 1}, 1),
    ({"exclusiveMinimum": 0, "exclusiveMaximum": 2}, 1),
    ({"multipleOf": 0.1}, 0.3),
    ({"minLength": 1, "maxLength": 1}, "😀"),
    ({"pattern": "^a"}, "ab"),
    ({"format": "uuid"}, "0b8d7f0e-4c1a-4b52-9a54-6f4b6f5f6a10"),
    ({"format": "date"}, "2024-02-29"),
    ({"format": "date-time"}, "2026-01-31T10:00:00.5+01:00"),
    ({"format": "email"}, "ada@example.com"),
    ({"format": "of the future"}, "anything"),
    ({"items": {"type": "integer"}}, [1, 2]),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 1]),
    ({"required": ["a"]}, "no object at all"),
    ({"properties": {"a": {"type": "string"}}, "additionalProperties": False}, {"a": "b"}),
    ({"additionalProperties": {"type": "integer"}}, {"a": 1}),
    ({"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False}, {"x-a": 1}),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1),
    ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, 1),
    ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2),
    ({"not": {"type": "string"}}, 1),
]

BAD: list[tuple[Any, Any, str]] = [
    (False, 1, "is not allowed here"),
    ({"type": "string"}, 1, "must be text, not a number"),
    ({"type": "integer"}, 1.5, "must be a whole number, not a number"),
    ({"type": "number"}, True, "must be a number, not true or false"),
    ({"type": "object"}, [], "must be an object, not a list"),
    ({"type": ["string", "null"]}, {}, "must be text or null, not an object"),
    ({"const": "ping"}, "pong", 'must be "ping"'),
    ({"enum": ["a", "b"]}, "c", 'must be "a" or "b"'),
    ({"minimum": 1}, 0, "must be 1 or more"),
    ({"maximum": 1}, 2, "must be 1 or less"),
    ({"exclusiveMinimum": 1}, 1, "must be more than 1"),
    ({"exclusiveMaximum": 1}, 1, "must be less than 1"),
    ({"multipleOf": 5}, 7, "must be a multiple of 5"),
    ({"minLength": 1}, "", "must have 1 character or more"),
    ({"maxLength": 2}, "abc", "must have 2 characters or less"),
    ({"pattern": "^a$"}, "b", "must match ^a$"),
    ({"format": "uuid"}, "0b8d7f0e", "must be a UUID"),
    ({"format": "date"}, "2026-02-29", "must be a date such as 2026-01-31"),
    ({"format": "date-time"}, "2026-01-31", "must be a time such as 2026-01-31T10:00:00Z"),
    ({"format": "email"}, "ada", "must be a mail address"),
    ({"minItems": 1}, [], "must have 1 item or more"),
    ({"maxItems": 1}, [1, 2], "must have 1 item or less"),
    ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], "must not hold an item twice"),
    ({"items": {"type": "integer"}}, [1, "2"], "/1 must be a whole number, not text"),
    ({"required": ["id"]}, {}, '"id" is missing'),
    ({"properties": {"a/b": {"type": "string"}}}, {"a/b": 1}, "/a~1b must be text, not a number"),
    ({"additionalProperties": False}, {"more": 1}, "/more is not a field of this message"),
    ({"additionalProperties": {"type": "integer"}}, {"a": "b"}, "/a must be a whole number, not text"),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1.5, "must be text or a whole number"),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "must be text or null"),
    ({"oneOf": [{"type": "integer"}, {"minimum": 1}]}, 1, "fits 2 alternatives where it must fit one"),
    ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 4, "must be 3 or less"),
    ({"not": {"type": "string"}}, "a", "is what it must not be"),
]


@pytest.mark.parametrize(("schema", "value"), GOOD)
def test_good(parts: Parts, schema: Any, value: Any) -> None:
    assert faults(parts, schema, value) == []


@pytest.mark.parametrize(("schema", "value", "fault"), BAD)
def test_bad(parts: Parts, schema: Any, value: Any, fault: str) -> None:
    assert faults(parts, schema, value) == [fault]


def test_of_a_tagged_union_the_alternative_with_the_tag_speaks(parts: Parts) -> None:
    move = {"properties": {"type": {"const": "move"}, "x": {"type": "integer"}}, "required": ["type", "x"]}
    turn = {"properties": {"type": {"const": "turn"}}, "required": ["type", "angle", "speed"]}
    assert faults(parts, {"oneOf": [turn, move]}, {"type": "move", "x": "1"}) == ["/x must be a whole number, not text"]


def test_a_reference(parts: Parts) -> None:
    root = {"components": {"schemas": {"A b": {"type": "string"}}}}
    assert faults(parts, {"$ref": "#/components/schemas/A%20b"}, 1, root) == ["must be text, not a number"]


def test_a_recursive_model(parts: Parts) -> None:
    node = {"properties": {"children": {"type": "array", "items": {"$ref": "#/node"}}, "name": {"type": "string"}}}
    value = {"children": [{"children": [{"name": 1}]}]}
    assert faults(parts, {"$ref": "#/node"}, value, {"node": node}) == [
        "/children/0/children/0/name must be text, not a number"
    ]


@pytest.mark.parametrize(("kind", "fault"), [("add", None), ("divide", 'must be "add"'), (None, '"kind" is missing')])
def test_recursive_alternatives_are_looked_at_once_per_place(parts: Parts, kind: str | None, fault: str | None) -> None:
    """Whether the tag is right, unknown or missing."""
    code = """
      let looks = 0;
      const kinds = ["add", "subtract", "multiply"];
      const node = { oneOf: kinds.map((kind) => ({ $ref: `#/${kind}` })) };
      const root = {};
      for (const kind of kinds) {
        const schema = { type: "object", required: ["kind"], properties: { kind: { const: kind }, left: node } };
        Object.defineProperty(root, kind, { get: () => (looks += 1, schema) });
      }
      let value = given ? { kind: given } : {};
      for (let depth = 1; depth < 8; depth += 1) value = { ...value, left: value };
      const faults = parts.schema.check(node, value, root);
      return [looks, faults[0]?.message];
    """
    assert parts.run(code, kind) == [3 * 8, fault]


def test_a_schema_that_is_nothing_but_itself(parts: Parts) -> None:
    assert faults(parts, {"$ref": "#/a"}, 1, {"a": {"anyOf": [{"$ref": "#/a"}, {"type": "string"}]}}) == []


def test_a_pattern_that_is_none_here_lets_pass(parts: Parts) -> None:
    assert faults(parts, {"pattern": r"(?P<name>x)\Z"}, "y") == []


class TestPlaces:
    """Where in the text a value stands."""

    TEXT = '{\n  "a": {"b/c": [10, "x"]}\n}'

    @pytest.mark.parametrize(
        ("pointer", "there"), [("/a/b~1c/0", "10"), ("/a/b~1c/1", '"x"'), ("/a/b~1c", '[10, "x"]'), ("/a#", '"a"')]
    )
    def test_of_a_value(self, parts: Parts, pointer: str, there: str) -> None:
        code = "const { places } = parts.json.parse(given[0]); return given[0].slice(...places.get(given[1]))"
        assert parts.run(code, [self.TEXT, pointer]) == there

    @pytest.mark.parametrize("text", ["1", "-0.5e3", "null", '"a\\u00e9\\n"', "[]", "{}", ' [1, {"a": true}] '])
    def test_the_value_is_that_of_the_browser(self, parts: Parts, text: str) -> None:
        same = "return JSON.stringify(parts.json.parse(given).value) === JSON.stringify(JSON.parse(given))"
        assert parts.run(same, text)

    @pytest.mark.parametrize(
        ("text", "message", "there"),
        [
            ("", "Expected a value, but the text ends here.", [-1, 0]),
            ("{", "Expected a name in double quotes, but the text ends here.", [0, 1]),
            ("{'a': 1}", "Expected a name in double quotes.", [1, 2]),
            ('{"a" 1}', "Expected a colon.", [5, 6]),
            ('{"a": 1,}', "Expected a name in double quotes.", [8, 9]),
            ("[1 2]", "Expected a comma or a closing bracket.", [3, 4]),
            ('{"a": 1, "a": 2}', '"a" is there twice.', [9, 12]),
            ("01", "Expected nothing more here.", [1, 2]),
            ("NaN", "Expected a value.", [0, 1]),
            ('"a', "This text in quotes does not end, or holds what JSON does not allow.", [0, 1]),
            ("[" * 300, "This is nested too deeply.", [201, 202]),
        ],
    )
    def test_of_a_mistake(self, parts: Parts, text: str, message: str, there: list[int]) -> None:
        code = "try { parts.json.parse(given) } catch (error) { return [error.message, error.place] }"
        assert parts.run(code, text) == [message, there]

    def test_a_member_that_is_called_like_the_prototype(self, parts: Parts) -> None:
        code = "return Object.keys(parts.json.parse(given).value)"
        assert parts.run(code, '{"__proto__": 1, "constructor": 2}') == ["__proto__", "constructor"]
