/** Checks a value against a JSON Schema, as far as the document's generator goes. What it does not know it lets pass. */

import { at } from "./try-document.js";
import { escapePart } from "./try-json.js";

/**
 * @typedef {object} Fault
 * @property {string} pointer Where (RFC 6901).
 * @property {boolean} [key] Whether it is the name there that is wrong, not the value.
 * @property {string} message
 */

/**
 * @param {object | boolean} schema
 * @param {any} value
 * @param {object} root Where `$ref`s point into.
 * @returns {Fault[]}
 */
export function check(schema, value, root = {}, pointer = "", seen = new Map()) {
  if (schema === true || schema === undefined) return [];
  if (schema === false) return [{ pointer, message: "is not allowed here" }];
  const fault = (message) => [{ pointer, message }];
  const within = { root, pointer, fault, seen, again: (other) => check(other, value, root, pointer, seen) };
  if (schema.$ref) return reference(schema, within);
  if (schema.type !== undefined && ![schema.type].flat().some((type) => TYPES[type]?.(value))) {
    return fault(`must be ${either([schema.type].flat().map((type) => WORDS[type] ?? type))}, not ${WORDS[kind(value)]}`);
  }
  return KEYWORDS.flatMap(([keyword, test]) => (keyword in schema ? test(schema[keyword], value, within, schema) : []));
}

// Each is looked at once per place in the value: of recursive alternatives, the work would else multiply at every level.
// One that refers to itself without going deeper into the value says nothing.
function reference(schema, { root, pointer, seen, again }) {
  const step = `${schema.$ref} ${pointer}`;
  if (!seen.has(step)) {
    seen.set(step, []);
    seen.set(step, again(at(root, schema.$ref)));
  }
  return seen.get(step);
}

const MUST = "must be ";

const WORDS = {
  string: "text", number: "a number", integer: "a whole number", boolean: "true or false", null: "null", object: "an object",
  array: "a list",
};

const TYPES = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  array: Array.isArray,
  object: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
};

const kind = (value) => Object.keys(TYPES).find((type) => TYPES[type](value));
const shown = (value) => JSON.stringify(value);
const either = (words) => (words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`);
const same = (one, other) => shown(sorted(one)) === shown(sorted(other));
const sorted = (value) =>
  TYPES.object(value)
    ? Object.keys(value).sort().map((key) => [key, sorted(value[key])])
    : Array.isArray(value) ? value.map(sorted) : value;

const length = (text) => [...text].length;
const about = (is, wrong, say) => (limit, value, { fault }) => (is(value) && wrong(value, limit) ? fault(say(limit)) : []);
const numeric = (wrong, say) => about(TYPES.number, wrong, say);
const textual = (wrong, say) => about(TYPES.string, wrong, say);
const listed = (wrong, say) => about(Array.isArray, wrong, say);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** Each keyword: its value, the value that is checked, what is around. */
const KEYWORDS = Object.entries({
  const: (wanted, value, { fault }) => (same(wanted, value) ? [] : fault(`must be ${shown(wanted)}`)),
  enum: (wanted, value, { fault }) =>
    wanted.some((one) => same(one, value)) ? [] : fault(`must be ${either(wanted.map(shown))}`),

  minimum: numeric((value, limit) => value < limit, (limit) => `must be ${limit} or more`),
  maximum: numeric((value, limit) => value > limit, (limit) => `must be ${limit} or less`),
  exclusiveMinimum: numeric((value, limit) => value <= limit, (limit) => `must be more than ${limit}`),
  exclusiveMaximum: numeric((value, limit) => value >= limit, (limit) => `must be less than ${limit}`),
  multipleOf: numeric((value, step) => Math.abs(value / step - Math.round(value / step)) > 1e-9, (step) => `must be a multiple of ${step}`),

  minLength: textual((value, limit) => length(value) < limit, (limit) => `must have ${plural(limit, "character")} or more`),
  maxLength: textual((value, limit) => length(value) > limit, (limit) => `must have ${plural(limit, "character")} or less`),
  pattern: textual((value, pattern) => !matches(pattern, value), (pattern) => `must match ${pattern}`),
  format: textual((value, format) => format in FORMATS && !FORMATS[format](value), (format) => `must be a ${FORMAT_WORDS[format] ?? format}`),

  minItems: listed((value, limit) => value.length < limit, (limit) => `must have ${plural(limit, "item")} or more`),
  maxItems: listed((value, limit) => value.length > limit, (limit) => `must have ${plural(limit, "item")} or less`),
  uniqueItems: listed((value, wanted) => wanted && new Set(value.map((item) => shown(sorted(item)))).size < value.length, () => "must not hold an item twice"),
  items(items, value, { root, pointer, seen }, schema) {
    if (!Array.isArray(value)) return [];
    const first = schema.prefixItems?.length ?? 0;
    const of = (index) => (Array.isArray(items) ? items[index] ?? schema.additionalItems : items);
    return value.flatMap((item, index) => (index < first ? [] : check(of(index), item, root, `${pointer}/${index}`, seen)));
  },
  prefixItems: (items, value, { root, pointer, seen }) =>
    Array.isArray(value) ? items.flatMap((item, index) => (index < value.length ? check(item, value[index], root, `${pointer}/${index}`, seen) : [])) : [],

  required: (names, value, { pointer }) =>
    TYPES.object(value) ? names.filter((name) => !(name in value)).map((name) => ({ pointer, message: `"${name}" is missing` })) : [],
  properties: (properties, value, { root, pointer, seen }) =>
    TYPES.object(value)
      ? Object.keys(properties).filter((name) => name in value).flatMap((name) => check(properties[name], value[name], root, `${pointer}/${escapePart(name)}`, seen))
      : [],
  additionalProperties(rest, value, { root, pointer, seen }, schema) {
    if (!TYPES.object(value)) return [];
    const patterns = Object.keys(schema.patternProperties ?? {});
    const others = Object.keys(value).filter((name) => !(name in (schema.properties ?? {})) && !patterns.some((pattern) => matches(pattern, name)));
    return others.flatMap((name) => {
      const below = `${pointer}/${escapePart(name)}`;
      return rest === false ? [{ pointer: below, key: true, message: "is not a field of this message" }] : check(rest, value[name], root, below, seen);
    });
  },
  patternProperties: (patterns, value, { root, pointer, seen }) =>
    TYPES.object(value)
      ? Object.entries(patterns).flatMap(([pattern, inner]) =>
          Object.keys(value).filter((name) => matches(pattern, name)).flatMap((name) => check(inner, value[name], root, `${pointer}/${escapePart(name)}`, seen)))
      : [],
  minProperties: (limit, value, { fault }) =>
    TYPES.object(value) && Object.keys(value).length < limit ? fault(`must have ${plural(limit, "field")} or more`) : [],
  maxProperties: (limit, value, { fault }) =>
    TYPES.object(value) && Object.keys(value).length > limit ? fault(`must have ${plural(limit, "field")} or less`) : [],

  allOf: (schemas, value, { again }) => schemas.flatMap(again),
  anyOf: (schemas, value, within) => alternatives(schemas, within, false),
  oneOf: (schemas, value, within) => alternatives(schemas, within, true),
  not: (schema, value, { again, fault }) => (again(schema).length ? [] : fault("is what it must not be")),
});

function alternatives(schemas, { again, fault, pointer }, exactlyOne) {
  const results = schemas.map(again);
  const fits = results.filter((faults) => faults.length === 0).length;
  if (fits === 1 || (fits > 1 && !exactlyOne)) return [];
  if (fits > 1) return fault(`fits ${fits} alternatives where it must fit one`);
  const isHere = (found) => found.pointer === pointer && found.message.startsWith(MUST);
  if (results.every((faults) => faults.length === 1 && isHere(faults[0]))) {
    return fault(MUST + either(results.map(([{ message }]) => message.slice(MUST.length).replace(/, not [^,"]+$/, ""))));
  }
  return results.reduce((best, faults) => (distance(faults, pointer) < distance(best, pointer) ? faults : best));
}

/** How far from fitting: an alternative of another kind (its `type` says so) is the farthest. */
function distance(faults, pointer) {
  const isWrong = (place) => faults.some((fault) => fault.message.startsWith(MUST) && fault.pointer === place);
  return faults.length + (isWrong(`${pointer}/type`) ? 1000 : 0) + (isWrong(pointer) ? 100 : 0);
}

function matches(pattern, text) {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true;
  }
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME = /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i;

const FORMATS = {
  uuid: (text) => /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text),
  date: isDate,
  time: (text) => TIME.test(text),
  "date-time": (text) => isDate(text.slice(0, 10)) && /^[Tt ]$/.test(text[10]) && TIME.test(text.slice(11)),
  email: (text) => /^[^\s@]+@[^\s@]+$/.test(text),
  uri: (text) => /^[a-z][a-z\d+.-]*:\S+$/i.test(text),
  ipv4: (text) => /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.|$)){4}$/.test(text),
};

const FORMAT_WORDS = {
  uuid: "UUID", date: "date such as 2026-01-31", time: "time such as 10:00:00Z", "date-time": "time such as 2026-01-31T10:00:00Z",
  email: "mail address", uri: "URI", ipv4: "IPv4 address",
};

function isDate(text) {
  const [, year, month, day] = DATE.exec(text) ?? [];
  if (!year) return false;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}
