"""The rows of a table that shows a JSON Schema: objects and arrays unfolded, unions side by side, recursion a link."""

from __future__ import annotations

import json
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
    above: Mapping[str, str]
    """References that are being unfolded, and the anchors of their rows."""

    def below(self, reference: str) -> _Place:
        """The same, where a reference was followed."""
        return replace(self, above={**self.above, reference: self.anchor}) if reference else self


class _Walk:
    def __init__(self, document: Mapping[str, Any], anchor: str) -> None:
        self._document = document
        self._anchor = anchor
        self._taken: set[str] = set()

    def payload(self, schema: Any) -> Iterator[Field]:
        """An object's members; anything else as one row without a name."""
        plain, reference = self._plain(schema)
        place = _Place("", 0, self._anchor, {})
        if plain.get("type") == "object" and not _variants(plain):
            yield from self._members(plain, place.below(reference))
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
            inner, reference = self._plain(real[0])
            bare = {name: value for name, value in merged.items() if name not in {"anyOf", "oneOf"}}
            return {**inner, **bare, "nullable": len(variants) > 1}, reference
        return merged, reference

    def _field(self, name: str, schema: Any, required: bool, place: _Place) -> Iterator[Field]:
        plain, reference = self._plain(schema)
        anchor = self._own_anchor(place.prefix + name)
        yield Field(
            prefix=place.prefix,
            name=name,
            depth=place.depth,
            anchor=anchor,
            type=self._type(schema, replace(place, anchor=anchor)),
            required=required,
            constraints=tuple(_constraints(plain)),
            values=tuple(_values(plain)),
            default=_default(plain),
            description=render(plain.get("description", ""), 5),
            deprecated=bool(plain.get("deprecated")),
        )
        if reference not in place.above:
            inside = _Place(place.prefix + name, place.depth + 1, anchor, place.above)
            yield from self._inside(plain, inside.below(reference))

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
        others = {f"/{pattern}/": schema for pattern, schema in plain.get("patternProperties", {}).items()}
        if isinstance(plain.get("additionalProperties"), Mapping) and plain["additionalProperties"]:
            others["*"] = plain["additionalProperties"]
        for name, schema in others.items():
            yield from self._field(name, schema, False, place)

    def _items(self, plain: Schema, place: _Place) -> Iterator[Field]:
        for number, schema in enumerate(_tuple(plain)):
            yield from self._field(f"[{number}]", schema, True, place)
        inner, reference = self._plain(plain.get("items", {}))
        if reference not in place.above and not isinstance(plain.get("items"), list):
            yield from self._inside(inner, replace(place, prefix=f"{place.prefix}[]").below(reference))

    def _alternatives(self, variants: list[Any], place: _Place) -> Iterator[Field]:
        """Those that have something inside, each under a head."""
        for number, variant in enumerate(variants, 1):
            plain, reference = self._plain(variant)
            if reference in place.above:
                continue
            anchor = self._own_anchor(f"{place.prefix}-{number}")
            own = replace(place, depth=place.depth + 1, anchor=anchor).below(reference)
            inside = list(self._inside(plain, own))
            if inside:
                title = _title(plain, reference) or f"alternative {number}"
                description = render(plain.get("description", ""), 5)
                kind = format_html("{}", title)
                yield Field(place.prefix, "", place.depth, anchor, kind, description=description, variant=True)
                yield from inside

    def _type(self, schema: Any, place: _Place) -> SafeString:
        plain, reference = self._plain(schema)
        kind = self._kind(plain, reference, place)
        return format_html("{} or null", kind) if plain.get("nullable") else kind

    def _kind(self, plain: Schema, reference: str, place: _Place) -> SafeString:
        if reference in place.above:
            return format_html('<a href="#{}">{}</a>, as above', place.above[reference], _title(plain, reference))
        inside = place.below(reference)
        if variants := _variants(plain):
            return format_html_join(" or ", "{}", ((self._type(variant, inside),) for variant in variants))
        if _is_array(plain) and isinstance(plain.get("items"), Mapping) and plain["items"]:
            return format_html("array of {}", self._type(plain["items"], inside))
        named = _title(plain, reference) if reference and plain.get("type") == "object" else ""
        return format_html("{} <i>{}</i>", "object", named) if named else format_html("{}", _word(plain))


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
