/** What was sent and received, without credentials, and bounded. No DOM. */

import { redact } from "./try-secrets.js";

/** Entries that are kept; the oldest go first. */
export const MOST_ENTRIES = 500;

/** Characters of one entry that are kept. */
export const LONGEST_TEXT = 20_000;

/** Bytes of a binary message that are shown. */
const MOST_BYTES = 2048;

/**
 * @typedef {object} Entry
 * @property {number} id
 * @property {string} time ISO 8601.
 * @property {"sent" | "received" | "note"} direction
 * @property {"JSON" | "text" | "binary" | "note"} kind
 * @property {number} size Bytes, as they went over the wire.
 * @property {string} text What may be shown.
 * @property {number} cut Characters that were left out at the end.
 */

export class Log {
  /** @param {(entry: Entry, gone: Entry | undefined) => void} added */
  constructor(added) {
    this.added = added;
    this.entries = [];
    this.count = 0;
  }

  /** @param {"sent" | "received"} direction @param {string | ArrayBuffer} data */
  message(direction, data) {
    if (typeof data === "string") this.#keep(direction, ...readable(data), new TextEncoder().encode(data).length);
    else this.#keep(direction, "binary", bytes(data), data.byteLength);
  }

  /** @param {string} text Something about the connection. */
  note(text) {
    this.#keep("note", "note", text, 0);
  }

  clear() {
    this.entries = [];
  }

  // The one gate: whatever is kept has come through here.
  #keep(direction, kind, text, size) {
    const safe = redact(text);
    const entry = {
      id: (this.count += 1),
      time: new Date().toISOString(),
      direction,
      kind,
      size,
      text: safe.slice(0, LONGEST_TEXT),
      cut: Math.max(0, safe.length - LONGEST_TEXT),
    };
    this.entries.push(entry);
    this.added(entry, this.entries.length > MOST_ENTRIES ? this.entries.shift() : undefined);
  }
}

/** @param {Entry[]} entries @param {{direction: string, text: string}} wanted */
export function matching(entries, { direction, text }) {
  const needle = text.trim().toLowerCase();
  return entries.filter((entry) => (direction === "all" || entry.direction === direction) && entry.text.toLowerCase().includes(needle));
}

/**
 * @param {Entry[]} entries
 * @param {Record<string, string>} about What is said besides.
 * @returns {string} As a file has it.
 */
export function saved(entries, about) {
  const head = Object.fromEntries(Object.entries(about).map(([name, text]) => [name, redact(text)]));
  const messages = entries.map(({ time, direction, kind, size, text, cut }) => ({
    time, direction, kind, size, data: kind === "JSON" && !cut ? exactly(text) : text, ...(cut ? { cut } : {}),
  }));
  return JSON.stringify({ ...head, messages }, null, 2);
}

/** @returns {["JSON" | "text", string]} */
function readable(text) {
  if (!/^\s*[[{]/.test(text)) return ["text", text];
  try {
    return ["JSON", JSON.stringify(exactly(text), null, 2)];
  } catch {
    return ["text", text];
  }
}

/** Numbers as they were written, where the browser can: 12345678901234567890 is another after `JSON.parse`. */
function exactly(text) {
  return JSON.parse(text, (key, value, { source } = {}) =>
    typeof value === "number" && source && JSON.rawJSON && String(value) !== source ? JSON.rawJSON(source) : value,
  );
}

/** Hexadecimal, as a debugger has it; as text where a credential is in it, which the gate then takes out. */
function bytes(data) {
  const all = new Uint8Array(data);
  const plain = new TextDecoder("latin1").decode(all);
  if (redact(plain) !== plain) return plain;
  const lines = [];
  for (let at = 0; at < Math.min(all.length, MOST_BYTES); at += 16) lines.push(line(all.subarray(at, at + 16), at));
  if (all.length > MOST_BYTES) lines.push(`… ${all.length - MOST_BYTES} bytes more`);
  return lines.join("\n");
}

function line(some, at) {
  const hex = [...some].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = [...some].map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
  return `${at.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${text}`;
}
