"""The rows of a table that shows a JSON Schema: objects and arrays unfolded, unions side by side, recursion a link."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .markdown import render

Schema = Mapping[str, Any]

_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minLength": "length ≥ {}",
    "maxLength": "length ≤ {}",
    "minItems": "items ≥ {}",
    "maxItems": "items ≤ {}",
    "minProperties": "members ≥ {}",
    "maxProperties": "members ≤ {}",
    "pattern": "matches {}",
}

LONG = 32
"""Rows. What has more below it is unfolded once in a table, and so is recursion, which has no end."""


@dataclass(frozen=True, slots=True)
class Field:
    """A row: a member of the payload; or, where `variant` says so, the head of one alternative."""

    prefix: str
    name: str
    depth: int
    anchor: str
    type: SafeString
    required: bool = False
    constraints: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    default: str = ""
    description: SafeString = field(default_factory=SafeString)
    deprecated: bool = False
    variant: bool = False


def resolve(document: Mapping[str, Any], part: Any) -> tuple[Any, str]:
    """What a part of the document is, and the last reference that led there, or an empty text."""
    reference = ""
    while isinstance(part, Mapping) and "$ref" in part:
        reference = part["$ref"]
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        beside = {name: value for name, value in part.items() if name != "$ref"}
        part = {**found, **beside} if isinstance(found, Mapping) else found
    return part, reference


def rows(document: Mapping[str, Any], schema: Any, anchor: str) -> list[Field]:
    """All fields of a schema.

    Args:
        document: Where references lead.
        schema: Of the payload.
        anchor: Of the table; the rows' own begin with it.
    """
    return list(_Walk(document, anchor).payload(schema))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk is."""

    prefix: str
    depth: int
    anchor: str
    """Of the row that is being unfolded."""


class _Walk:
    def __init__(self, document: Mapping[str, Any], anchor: str) -> None:
        self._document = document
        self._anchor = anchor
        self._taken: set[str] = set()
        self._lengths: dict[str, float] = {}
        self._unfolded: dict[str, str] = {}
        """Long references, and the anchors of the rows that they are unfolded below."""
        self._to_come: set[str] = set()
        """Anchors of heads that are not in the table yet."""

    def payload(self, schema: Any) -> Iterator[Field]:
        """An object's members; anything else as one row without a name."""
        plain, reference = self._plain(schema)
        place = _Place("", 0, self._anchor)
        if plain.get("type") == "object" and not _variants(plain):
            self._remember(schema, reference, self._anchor)
            yield from self._members(plain, place)
        else:
            yield from self._field("", schema, True, place)

    def _plain(self, schema: Any) -> tuple[Schema, str]:
        """The schema without `$ref`, `allOf` and the `null` of a nullable one."""
        found, reference = resolve(self._document, schema)
        if not isinstance(found, Mapping):
            return {}, reference
        merged = dict(found)
        for part in merged.pop("allOf", ()):
            inner, inner_reference = self._plain(part)
            merged = {**inner, **merged, **_both(inner, merged)}
            reference = reference or inner_reference
        variants = _variants(merged)
        real = [variant for variant in variants if resolve(self._document, variant)[0] != {"type": "null"}]
        if variants and len(real) == 1:
            inner, inner_reference = self._plain(real[0])
            reference = inner_reference or reference
            bare = {name: value for name, value in merged.items() if name not in {"anyOf", "oneOf"}}
            return {**inner, **bare, "nullable": len(variants) > 1}, reference
        return merged, reference

    def _is_long(self, schema: Any) -> bool:
        return self._length(schema) > LONG

    def _length(self, schema: Any) -> float:
        """How many rows are below a schema, but for heads."""
        reference = schema.get("$ref", "") if isinstance(schema, Mapping) else ""
        if reference in self._lengths:
            return self._lengths[reference]
        if reference:
            # Whoever asks for it again before the sum is known is within it.
            self._lengths[reference] = math.inf
        found, _ = resolve(self._document, schema)
        length = sum(own + self._length(part) for own, part in _parts(found))
        if reference:
            self._lengths[reference] = length
        return length

    def _remember(self, schema: Any, reference: str, anchor: str) -> None:
        """What is long and unfolded from here on is not unfolded a second time."""
        if reference and self._is_long(schema):
            self._unfolded[reference] = anchor

    def _field(self, name: str, schema: Any, required: bool, place: _Place) -> Iterator[Field]:
        plain, reference = self._plain(schema)
        anchor = self._own_anchor(place.prefix + name)
        is_elsewhere = reference in self._unfolded
        yield Field(
            prefix=place.prefix,
            name=name,
            depth=place.depth,
            anchor=anchor,
            type=self._type(schema, anchor, dict(self._unfolded)),
            required=required,
            constraints=tuple(_constraints(plain)),
            values=tuple(_values(plain)),
            default=_default(plain),
            description=render(plain.get("description", ""), 5),
            deprecated=bool(plain.get("deprecated")),
        )
        if not is_elsewhere:
            self._remember(schema, reference, anchor)
            yield from self._inside(plain, _Place(place.prefix + name, place.depth + 1, anchor))

    def _own_anchor(self, path: str) -> str:
        wanted = anchor = f"{self._anchor}.{re.sub('[^0-9A-Za-z_.-]+', '-', path) or 'payload'}"
        number = 1
        while anchor in self._taken:
            number += 1
            anchor = f"{wanted}-{number}"
        self._taken.add(anchor)
        return anchor

    def _inside(self, plain: Schema, place: _Place) -> Iterator[Field]:
        """What is below a field; its own path is the place's prefix."""
        if variants := _variants(plain):
            yield from self._alternatives(variants, place)
        elif _is_array(plain):
            yield from self._items(plain, place)
        else:
            prefix = f"{place.prefix}." if place.prefix else ""
            yield from self._members(plain, replace(place, prefix=prefix))

    def _members(self, plain: Schema, place: _Place) -> Iterator[Field]:
        required = plain.get("required", ())
        for name, schema in plain.get("properties", {}).items():
            yield from self._field(name, schema, name in required, place)
        for name, schema in _others(plain).items():
            yield from self._field(name, schema, False, place)

    def _items(self, plain: Schema, place: _Place) -> Iterator[Field]:
        for number, schema in enumerate(_tuple(plain)):
            yield from self._field(f"[{number}]", schema, True, place)
        items = plain.get("items", {})
        inner, reference = self._plain(items)
        if reference not in self._unfolded and not isinstance(items, list):
            self._remember(items, reference, place.anchor)
            yield from self._inside(inner, replace(place, prefix=f"{place.prefix}[]"))

    def _alternatives(self, variants: list[Any], place: _Place) -> Iterator[Field]:
        """Those that have something inside, each under a head."""
        heads = []
        for number, variant in enumerate(variants, 1):
            plain, reference = self._plain(variant)
            if reference in self._unfolded:
                continue
            anchor = self._own_anchor(f"{place.prefix}-{number}")
            heads.append((_title(plain, reference) or f"alternative {number}", plain, anchor))
            # Where they are long together, all have their heads here, and none is unfolded inside another.
            if self._length(variant):
                is_object = not _variants(plain) and not _is_array(plain)  # Nothing else is sure to have a head.
                self._remember({"anyOf": variants}, reference, anchor if is_object else place.anchor)
            self._to_come.add(anchor)
        for title, plain, anchor in heads:
            self._to_come.discard(anchor)
            inside = list(self._inside(plain, replace(place, depth=place.depth + 1, anchor=anchor)))
            if inside:
                description = render(plain.get("description", ""), 5)
                kind = format_html("{}", title)
                yield Field(place.prefix, "", place.depth, anchor, kind, description=description, variant=True)
                yield from inside

    def _type(self, schema: Any, anchor: str, told: dict[str, str]) -> SafeString:
        """A row's type in words.

        Args:
            schema: Of the row, or of a part of its type.
            anchor: Of the row.
            told: References that are not told again, and the anchors of their rows; more of them afterwards.
        """
        plain, reference = self._plain(schema)
        if reference in told:
            where = "below" if told[reference] in self._to_come else "above"
            kind = format_html('<a href="#{}">{}</a>, as {}', told[reference], _title(plain, reference), where)
        else:
            # An object is but named; what else leads to itself would be told on and on.
            if reference and (_variants(plain) or _is_array(plain)) and self._is_long(schema):
                told[reference] = anchor
            kind = self._kind(plain, reference, anchor, told)
        return format_html("{} or null", kind) if plain.get("nullable") else kind

    def _kind(self, plain: Schema, reference: str, anchor: str, told: dict[str, str]) -> SafeString:
        if variants := _variants(plain):
            return format_html_join(" or ", "{}", [(self._type(variant, anchor, told),) for variant in variants])
        if _is_array(plain) and isinstance(plain.get("items"), Mapping) and plain["items"]:
            return format_html("array of {}", self._type(plain["items"], anchor, told))
        named = _title(plain, reference) if reference and plain.get("type") == "object" else ""
        return format_html("{} <i>{}</i>", "object", named) if named else format_html("{}", _word(plain))


def _parts(schema: Any) -> Iterator[tuple[int, Any]]:
    """The schemas right below one, each with the number of rows of its own."""
    if isinstance(schema, Mapping):
        named = (*schema.get("properties", {}).values(), *_others(schema).values(), *_tuple(schema))
        yield from ((1, part) for part in named)
        yield from ((0, part) for part in (*schema.get("allOf", ()), *_variants(schema), schema.get("items")))


def _others(plain: Schema) -> dict[str, Any]:
    """The schemas of members whose names are not known, by what is known of them."""
    others = {f"/{pattern}/": schema for pattern, schema in plain.get("patternProperties", {}).items()}
    if isinstance(plain.get("additionalProperties"), Mapping) and plain["additionalProperties"]:
        others["*"] = plain["additionalProperties"]
    return others


def _variants(plain: Schema) -> list[Any]:
    return [*plain.get("oneOf", ()), *plain.get("anyOf", ())]


def _both(one: Schema, other: Schema) -> dict[str, Any]:
    """The members of two schemas of an `allOf`."""
    found: dict[str, Any] = {}
    if "properties" in one or "properties" in other:
        found["properties"] = {**one.get("properties", {}), **other.get("properties", {})}
        found["required"] = [*one.get("required", ()), *other.get("required", ())]
    return found


def _is_array(plain: Schema) -> bool:
    return plain.get("type") == "array"


def _tuple(plain: Schema) -> list[Any]:
    items = plain.get("items")
    found: list[Any] = items if isinstance(items, list) else plain.get("prefixItems", [])
    return found


def _title(plain: Schema, reference: str) -> str:
    return str(plain.get("title") or reference.rpartition("/")[2])


def _word(plain: Schema) -> str:
    kind = plain.get("type")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind is None:
        kinds = {_type_of(value) for value in _allowed(plain)}
        return " or ".join(sorted(kinds)) or ("object" if "properties" in plain else "any")
    return str(kind)


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _allowed(plain: Schema) -> list[Any]:
    return [plain["const"]] if "const" in plain else list(plain.get("enum", ()))


def _values(plain: Schema) -> Iterator[str]:
    return (_json(value) for value in _allowed(plain))


def _default(plain: Schema) -> str:
    """What is meant where nothing is sent; not where that goes without saying."""
    if "default" not in plain or "const" in plain or (plain["default"] is None and plain.get("nullable")):
        return ""
    return _json(plain["default"])


def _constraints(plain: Schema) -> Iterator[str]:
    if "format" in plain:
        yield str(plain["format"])
    yield from (words.format(plain[name]) for name, words in _BOUNDS.items() if name in plain)
    if plain.get("uniqueItems"):
        yield "no item twice"
    if plain.get("additionalProperties") is False and "properties" in plain:
        yield "no other members"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
