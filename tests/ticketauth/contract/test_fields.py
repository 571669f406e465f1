"""A JSON Schema as the rows of a table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ticketauth.contract.fields import LONG, Field, rows


def table(schema: Any, **schemas: Any) -> list[Field]:
    return rows({"components": {"schemas": schemas}}, schema, "m")


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def names(fields: list[Field]) -> list[str]:
    return [field.prefix + field.name for field in fields]


def words(field: Field) -> str:
    return re.sub("<[^>]+>", "", field.type)


def test_a_member_a_row() -> None:
    first, second = table({**an_object(a={"type": "string"}, b={"type": "integer"}), "required": ["b"]})
    assert (first.name, words(first), first.required) == ("a", "string", False)
    assert (second.name, words(second), second.required) == ("b", "integer", True)


@pytest.mark.parametrize(
    ("schema", "constraints"),
    [
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, ("≥ 1", "< 9")),
        ({"type": "string", "minLength": 2, "maxLength": 4}, ("length ≥ 2", "length ≤ 4")),
        ({"type": "string", "pattern": "^x$", "format": "uuid"}, ("uuid", "matches ^x$")),
        ({"type": "array", "minItems": 1, "uniqueItems": True}, ("items ≥ 1", "no item twice")),
        ({"type": "number", "multipleOf": 0.5}, ("a multiple of 0.5",)),
        ({**an_object(x={}), "additionalProperties": False}, ("no other members",)),
    ],
)
def test_constraints_are_words(schema: dict[str, Any], constraints: tuple[str, ...]) -> None:
    assert table(an_object(a=schema))[0].constraints == constraints


def test_values_and_default_are_json() -> None:
    fields = table(an_object(a={"enum": ["x", 1, None], "default": "x"}, b={"const": "y", "default": "y"}))
    assert (fields[0].values, fields[0].default) == (('"x"', "1", "null"), '"x"')
    assert (fields[1].values, fields[1].default) == (('"y"',), "")
    assert words(fields[0]) == "integer or null or string"


def test_objects_are_unfolded() -> None:
    fields = table(an_object(user=ref("User")), User=an_object(id={"type": "string"}))
    assert names(fields) == ["user", "user.id"]
    assert [field.depth for field in fields] == [0, 1]
    assert words(fields[0]) == "object User"


def test_arrays_are_unfolded() -> None:
    fields = table(an_object(tags={"type": "array", "items": ref("Tag")}), Tag=an_object(name={"type": "string"}))
    assert names(fields) == ["tags", "tags[].name"]
    assert words(fields[0]) == "array of object Tag"


def test_tuples_are_unfolded() -> None:
    pair = {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}
    assert names(table(an_object(pair=pair))) == ["pair", "pair[0]", "pair[1]"]


def test_members_of_any_name() -> None:
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert names(table(an_object(counts=counts))) == ["counts", "counts.*"]


def test_nullable_is_said_at_the_type() -> None:
    [field] = table(an_object(a={"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None}))
    assert (words(field), field.constraints, field.default) == ("string or null", ("date",), "")


def test_a_union_shows_its_alternatives() -> None:
    circle = an_object(kind={"const": "circle"}, radius={"type": "number"})
    square = an_object(kind={"const": "square"}, side={"type": "number"})
    fields = table(an_object(shape={"oneOf": [ref("Circle"), ref("Square")]}), Circle=circle, Square=square)
    assert words(fields[0]) == "object Circle or object Square"
    assert [words(field) for field in fields if field.variant] == ["Circle", "Square"]
    assert names(fields)[2:4] == ["shape.kind", "shape.radius"]


def test_a_union_of_plain_types_is_one_row() -> None:
    [field] = table(an_object(id={"anyOf": [{"type": "string"}, {"type": "integer"}]}))
    assert words(field) == "string or integer"


def test_a_payload_that_is_no_object_is_a_row_without_a_name() -> None:
    fields = table({"oneOf": [ref("A"), ref("B")]}, A=an_object(a={}), B=an_object(b={}))
    assert names(fields) == ["", "", "a", "", "b"]


class TestRecursion:
    TREE = an_object(name={"type": "string"}, children={"type": "array", "items": ref("Tree")})

    def test_is_cut_by_a_link_to_the_table(self) -> None:
        fields = table(ref("Tree"), Tree=self.TREE)
        assert names(fields) == ["name", "children"]
        assert '<a href="#m">Tree</a>' in fields[1].type

    def test_is_cut_by_a_link_to_the_row(self) -> None:
        fields = table(an_object(root=ref("Tree")), Tree=self.TREE)
        assert names(fields) == ["root", "root.name", "root.children"]
        assert f'<a href="#{fields[0].anchor}">Tree</a>' in fields[2].type

    def test_through_another(self) -> None:
        fields = table(ref("A"), A=an_object(b=ref("B")), B=an_object(a={"anyOf": [ref("A"), {"type": "null"}]}))
        assert names(fields) == ["b", "b.a"]
        assert words(fields[1]) == "A, as above or null"

    def test_of_a_union(self) -> None:
        tree = {"oneOf": [an_object(left=ref("T"), right=ref("T")), {"type": "string"}]}
        assert names(table(ref("T"), T=tree)) == ["", "", "left", "right"]

    def test_of_a_type_that_is_no_object(self) -> None:
        value = {"anyOf": [{"type": "array", "items": ref("Value")}, {"type": "string"}]}
        payload, member = table(ref("Value"), Value=value), table(an_object(a=ref("Value")), Value=value)
        assert [words(field) for field in payload] == ["array of Value, as above or string"]
        assert f'<a href="#{member[0].anchor}">Value</a>' in member[0].type

    def test_of_lists_of_lists(self) -> None:
        [field] = table(ref("Rows"), Rows={"type": "array", "items": ref("Rows")})
        assert words(field) == "array of Rows, as above"

    def test_of_a_list_that_may_be_null(self) -> None:
        nested = {"anyOf": [{"type": "array", "items": ref("Nested")}, {"type": "null"}]}
        [field] = table(an_object(a=ref("Nested")), Nested=nested)
        assert words(field) == "array of Nested, as above or null or null"

    def test_the_same_model_twice_is_none(self) -> None:
        fields = table(an_object(a=ref("P"), b=ref("P")), P=an_object(x={"type": "number"}))
        assert names(fields) == ["a", "a.x", "b", "b.x"]


class TestRecursionOfMany:
    """Each is unfolded once in a table; along every path there is no end."""

    NODES = [f"Node{number}" for number in range(12)]

    def expression(self) -> list[Field]:
        """Of a tree of which each node has two more of any kind."""
        tree = {"oneOf": [ref("Number"), *map(ref, self.NODES)]}
        nodes = {name: an_object(kind={"const": name}, left=tree, right=tree) for name in self.NODES}
        return table(an_object(one=tree, other=tree), Number=an_object(value={"type": "number"}), **nodes)

    def test_each_kind_of_node_is_unfolded_once(self) -> None:
        fields = self.expression()
        assert [words(field) for field in fields if field.variant] == ["Number", *self.NODES]
        assert names(fields).count("one.left") == len(self.NODES)

    def test_elsewhere_is_said_where_it_is(self) -> None:
        fields = self.expression()
        left = next(field for field in fields if field.name == "left")
        assert words(left).startswith("Number, as above or Node0, as above or Node1, as below or Node2, as below or")
        assert words(fields[-1]).startswith("Number, as above or Node0, as above or Node1, as above or")

    def test_a_link_leads_to_the_row_of_what_it_names(self) -> None:
        fields = self.expression()
        heads = {field.anchor: words(field) for field in fields if field.variant}
        links = re.findall('<a href="#([^"]+)">([^<]+)</a>', "".join(field.type for field in fields))
        assert {(anchor, name) for anchor, name in links} == set(heads.items())

    def test_without_a_union(self) -> None:
        every = {name.lower(): ref(name) for name in self.NODES}
        fields = table(ref("Node0"), **{name: an_object(**every) for name in self.NODES})
        assert len(fields) == len(self.NODES) ** 2

    def test_of_types_that_are_no_objects(self) -> None:
        lists = {"anyOf": [{"type": "array", "items": ref(name)} for name in self.NODES]}
        [field] = table(an_object(a=ref("Node0")), **dict.fromkeys(self.NODES, lists))
        assert words(field).count(", as above") == len(self.NODES) ** 2 - (len(self.NODES) - 1)

    def test_what_doubles_at_each_step_and_is_no_recursion(self) -> None:
        steps = {
            f"Step{number}": an_object(a=ref(f"Step{number + 1}"), b=ref(f"Step{number + 1}")) for number in range(30)
        }
        assert len(table(ref("Step0"), **steps, Step30=an_object(x={}))) < 200

    def test_a_long_model_is_unfolded_the_first_time(self) -> None:
        long = an_object(**{f"x{number}": {} for number in range(LONG + 1)})
        fields = table(an_object(a=ref("P"), b=ref("P")), P=long)
        assert names(fields)[-2:] == [f"a.x{LONG}", "b"]
        assert fields[-1].type == f'<a href="#{fields[0].anchor}">P</a>, as above'


def test_all_of_is_one() -> None:
    both = {"allOf": [ref("A"), {"type": "object", "properties": {"b": {}}, "required": ["b"]}]}
    fields = table(both, A={**an_object(a={}), "required": ["a"]})
    assert sorted((field.name, field.required) for field in fields) == [("a", True), ("b", True)]


def test_what_is_beside_a_reference_counts() -> None:
    [field, _] = table(an_object(at={**ref("P"), "description": "The middle."}), P=an_object(x={}))
    assert field.description == "<p>The middle.</p>"


def test_anchors_are_unlike_and_need_no_escapes() -> None:
    odd = an_object(**{"a b": {}, "a<b": {}, "a-b": {}, "ä": {}})
    anchors = [field.anchor for field in table(an_object(x=odd, y=odd))]
    assert len(set(anchors)) == len(anchors)
    assert all(re.fullmatch("[A-Za-z0-9_.-]+", anchor) for anchor in anchors)


def test_what_the_schema_says_is_escaped() -> None:
    [field] = table(an_object(a={"title": "<b>", "type": "string", "description": "<script>"}))
    assert "<script>" not in field.description
    [named] = table(an_object(a={"$ref": "#/components/schemas/<x>"}), **{"<x>": {"type": "object"}})
    assert "<x>" not in named.type
