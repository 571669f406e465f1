"""Pydantic models as the JSON schemas of an AsyncAPI document, and their examples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

from pydantic import BaseModel, PydanticUserError, ValidationError
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import to_json, to_jsonable_python

from ticketauth.exceptions import Misconfigured

Mode = Literal["validation", "serialization"]
"""What is received, or what is sent: a model may look different."""

Directed = tuple[type[BaseModel], Mode]
"""A model, and whether it is received or sent."""

Schema = dict[str, Any]

REF = "#/components/schemas/"

_DEEPEST_EXAMPLE = 8
_BY_FORMAT = {
    "uuid": "0b8d7f0e-4c1a-4b52-9a54-6f4b6f5f6a10",
    "date-time": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "binary": "text",
}


class _Generate(GenerateJsonSchema):
    """Pydantic's own, without the titles that only repeat the names of fields, in the order of the model."""

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        """As it is."""
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False

    def model_schema(self, schema: Any) -> dict[str, Any]:
        """What is sent may have more members one day, and a client that checks it must not break then."""
        made = super().model_schema(schema)
        if self.mode == "serialization" and made.get("additionalProperties") is False:
            del made["additionalProperties"]
        return made

    def field_is_required(self, field: Any, total: bool) -> bool:
        """What is sent has every field, also those with a default."""
        if self.mode == "serialization":
            return not field.get("serialization_exclude")
        return super().field_is_required(field, total)


def components(models: Iterable[Directed]) -> tuple[dict[Directed, str], dict[str, Schema]]:
    """The names of some models, and the schemas of these and of all that they mention.

    Two models of one name get longer names, and so does one that looks different received and sent.

    Args:
        models: Each with the directions in which it travels.

    Raises:
        Misconfigured: Pydantic has no schema for what one of them holds.
    """
    try:
        refs, top = models_json_schema(
            list(dict.fromkeys(models)), schema_generator=_Generate, ref_template=REF + "{model}"
        )
    except PydanticUserError as error:
        raise Misconfigured(f"A message has no JSON schema: {error.message}.") from None
    names = {cast("Directed", key): str(ref["$ref"]).removeprefix(REF) for key, ref in refs.items()}
    return names, {name: _plain(to_jsonable_python(schema)) for name, schema in top.get("$defs", {}).items()}


def _plain(schema: Any) -> Any:
    """A schema in the words of AsyncAPI, which are those of JSON Schema draft 7."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # Its `discriminator` is the name of a field; pydantic's is OpenAPI's object.
    plain = {
        key: value if key in _DATA else _named(value) if key in _NAMED else _plain(value)
        for key, value in schema.items()
        if not (key == "discriminator" and isinstance(value, dict)) and not _is_no_json(value)
    }
    if "prefixItems" in plain:
        plain["items"] = plain.pop("prefixItems")
    return plain


def _is_no_json(value: Any) -> bool:
    """A default that is infinite, or no number at all: JSON has no word for it."""
    return isinstance(value, float) and not math.isfinite(value)


def _named(schemas: Mapping[str, Any]) -> Any:
    return {name: _plain(schema) for name, schema in schemas.items()}


_DATA = {"const", "default", "enum", "examples", "required"}
"""What is no schema."""

_NAMED = {"properties", "patternProperties"}
"""Schemas by names, which may be any word."""


def examples(model: type[BaseModel], schema: Schema, schemas: Mapping[str, Schema]) -> list[Any]:
    """Those of the model (`json_schema_extra`), else one made of its schema, where that can be made.

    Args:
        model: The model.
        schema: Its schema.
        schemas: Those that it refers to, by name.
    """
    if given := schema.get("examples"):
        return cast("list[Any]", to_jsonable_python(given))
    made = _example(schema, schemas, _DEEPEST_EXAMPLE)
    return [made] if not is_read_as_sent(model) or why_not(model, made) is None else []


def is_read_as_sent(model: type[BaseModel]) -> bool:
    """Whether its fields have the same names in both directions, so that what is sent could be received as well."""
    modes: tuple[Mode, Mode] = ("validation", "serialization")
    try:
        sent, received = (set(model.model_json_schema(mode=mode).get("properties", ())) for mode in modes)
    except PydanticUserError:
        return False
    return sent == received


def why_not(model: type[BaseModel], example: Any) -> str | None:
    """What is wrong with an example, or None where the model takes it."""
    try:
        model.model_validate_json(to_json(example))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return None


def _example(schema: Schema, schemas: Mapping[str, Schema], depth: int) -> Any:
    """A small value that satisfies a schema, as far as that can be seen from it."""
    said = [*(schema[key] for key in ("const", "default") if key in schema), *schema.get("examples", ())]
    if said or depth == 0:
        return said[0] if said else None
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].removeprefix(REF)], schemas, depth - 1)
    if options := [option for key in ("anyOf", "oneOf", "allOf") for option in schema.get(key, ())]:
        return _example(options[0], schemas, depth - 1)
    return schema["enum"][0] if "enum" in schema else _of_type(schema, schemas, depth)


def _of_type(schema: Schema, schemas: Mapping[str, Schema], depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required", ())
        fields = {name: of for name, of in schema.get("properties", {}).items() if name in wanted}
        return {name: _example(of, schemas, depth - 1) for name, of in fields.items()}
    if kind == "array":
        return _array(schema, schemas, depth)
    if kind in {"integer", "number"}:
        return _number(schema)
    return _text(schema) if kind == "string" else {"boolean": True, "null": None}.get(str(kind), {})


def _array(schema: Schema, schemas: Mapping[str, Schema], depth: int) -> list[Any]:
    items = schema.get("items", {})
    if isinstance(items, list):
        return [_example(item, schemas, depth - 1) for item in items]
    return [_example(items, schemas, depth - 1)] * schema.get("minItems", 0)


def _number(schema: Schema) -> float:
    step = schema.get("multipleOf", 1)
    if "minimum" in schema:
        return cast("float", schema["minimum"])
    if "exclusiveMinimum" in schema:
        return cast("float", schema["exclusiveMinimum"] + step)
    return cast("float", min(step, schema.get("maximum", step)))


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False  # Pydantic's expressions are Rust's.


def _text(schema: Schema) -> str:
    text = _BY_FORMAT.get(schema.get("format", ""), "text")
    if "pattern" in schema and not _matches(schema["pattern"], text):
        return ""
    return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), "x")
