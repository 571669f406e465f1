/** JSON with its places: where in the text each value stands, and where a mistake is (RFC 8259, RFC 6901). */

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const SPACE = /[ \t\r\n]*/y;
const WORDS = { true: true, false: false, null: null };
const DEEPEST = 200;

export class Mistake extends Error {
  /** @param {string} message @param {number} start @param {number} end Where in the text. */
  constructor(message, start, end = start + 1) {
    super(message);
    this.place = [start, end];
  }
}

/**
 * @param {string} text
 * @returns {{value: any, places: Map<string, [number, number]>}} Places by JSON pointer.
 * @throws {Mistake}
 */
export function parse(text) {
  const reader = new Reader(text);
  const value = reader.value("", 0);
  reader.space();
  if (reader.at < text.length) throw new Mistake("Expected nothing more here.", reader.at, text.length);
  return { value, places: reader.places };
}

/** @param {string} part @returns {string} As a pointer has it. */
export const escapePart = (part) => String(part).replaceAll("~", "~0").replaceAll("/", "~1");

/** @returns {{line: number, column: number}} Counted from one. */
export function lineOf(text, offset) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: before.at(-1).length + 1 };
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.places = new Map();
  }

  space() {
    this.match(SPACE);
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found) this.at += found.length;
    return found;
  }

  take(character) {
    this.space();
    const here = this.text[this.at] === character;
    if (here) this.at += 1;
    return here;
  }

  expect(character, what) {
    if (!this.take(character)) throw this.mistake(`Expected ${what}.`);
  }

  mistake(message) {
    const ended = this.at >= this.text.length;
    return new Mistake(ended ? `${message.slice(0, -1)}, but the text ends here.` : message, Math.min(this.at, this.text.length - 1));
  }

  value(pointer, depth) {
    if (depth > DEEPEST) throw this.mistake("This is nested too deeply.");
    this.space();
    const start = this.at;
    const value = this.anything(pointer, depth);
    this.places.set(pointer, [start, this.at]);
    return value;
  }

  anything(pointer, depth) {
    const first = this.text[this.at];
    if (first === "{") return this.object(pointer, depth);
    if (first === "[") return this.array(pointer, depth);
    if (first === '"') return this.string();
    const number = this.match(NUMBER);
    if (number) return Number(number);
    const word = Object.keys(WORDS).find((known) => this.text.startsWith(known, this.at));
    if (!word) throw this.mistake("Expected a value.");
    this.at += word.length;
    return WORDS[word];
  }

  string() {
    const found = this.match(STRING);
    if (found === undefined) throw this.mistake("This text in quotes does not end, or holds what JSON does not allow.");
    return JSON.parse(found);
  }

  object(pointer, depth) {
    const value = Object.create(null);
    this.at += 1;
    if (this.take("}")) return value;
    do {
      this.space();
      const start = this.at;
      if (this.text[start] !== '"') throw this.mistake("Expected a name in double quotes.");
      const key = this.string();
      const below = `${pointer}/${escapePart(key)}`;
      if (key in value) throw new Mistake(`"${key}" is there twice.`, start, this.at);
      this.places.set(`${below}#`, [start, this.at]);
      this.expect(":", "a colon");
      value[key] = this.value(below, depth + 1);
    } while (this.take(","));
    this.expect("}", "a comma or a closing brace");
    return value;
  }

  array(pointer, depth) {
    const value = [];
    this.at += 1;
    if (this.take("]")) return value;
    do value.push(this.value(`${pointer}/${value.length}`, depth + 1));
    while (this.take(","));
    this.expect("]", "a comma or a closing bracket");
    return value;
  }
}
