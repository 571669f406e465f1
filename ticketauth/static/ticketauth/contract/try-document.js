/** Reads the AsyncAPI document: what the panel has to know of one channel. */

import { FRAMES, READY, RENEW } from "./try-frames.js";
import { ask } from "./try-server.js";

let loading = null;

/** @param {string} url @returns {Promise<import("./try-server.js").Answer>} Asked for once per page, and again after a failure. */
export function load(url) {
  loading ??= ask(url, { credentials: "same-origin", cache: "default" }).then((answer) => {
    if (!answer.ok) loading = null;
    return answer;
  });
  return loading;
}

/** What a local `$ref` points at, through as many as there are. */
export function resolve(root, value) {
  let found = value;
  for (let hops = 0; found?.$ref && hops < 20; hops += 1) found = at(root, found.$ref);
  return found;
}

/** @param {string} ref `#/components/schemas/Ping` (RFC 6901 6). */
export function at(root, ref) {
  const parts = ref.replace(/^#\/?/, "").split("/").filter(Boolean);
  return parts
    .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((inside, part) => inside?.[part], root);
}

/**
 * @typedef {object} Channel
 * @property {string} id
 * @property {string} address With its parameters in braces.
 * @property {{name: string, description: string, example: string}[]} parameters
 * @property {{id: string, word: string, name: string}[]} schemes In the order in which the server looks for them.
 * @property {boolean} anonymous
 * @property {boolean} ready Whether it says so itself.
 * @property {boolean} renews Whether a socket lives on with a fresh ticket.
 * @property {Record<string, {meaning: string, retry: string}>} closes
 * @property {{title: string, schema: object, examples: {name: string, payload: any}[]}[]} messages What may be sent.
 */

/** @returns {Channel} */
export function channelOf(root, id) {
  const channel = root.channels[id];
  const schemes = root.components?.securitySchemes ?? {};
  return {
    id,
    address: channel.address,
    parameters: Object.entries(channel.parameters ?? {}).map(([name, given]) => parameterOf(name, resolve(root, given))),
    schemes: (channel["x-security"] ?? []).map((key) => ({
      id: key, word: schemes[key]?.["x-scheme"] ?? "", name: schemes[key]?.name ?? "",
    })),
    anonymous: channel["x-anonymous"] === true,
    ready: has(root, channel, READY),
    renews: has(root, channel, RENEW),
    closes: channel["x-close-codes"] ?? {},
    messages: sendable(root, id),
  };
}

/** Where the service is mounted: in addresses, but not in the path that a ticket is for. */
export const prefixOf = (root) => root.servers?.websocket?.pathname ?? "";

/** The address of the ticket endpoint, or "" where the project has none. */
export const ticketUrl = (root) => (root.channels.tickets ? `${prefixOf(root)}${root.channels.tickets.address}` : "");

function parameterOf(name, given) {
  return { name, description: given?.description ?? "", example: String(given?.examples?.[0] ?? given?.default ?? "") };
}

const has = (root, channel, word) => Object.values(channel.messages ?? {}).some((message) => typeOf(root, resolve(root, message)) === word);

/** The word that every such message has as its `type`, or "". */
function typeOf(root, message) {
  const type = resolve(root, resolve(root, message?.payload)?.properties?.type);
  return String(type?.const ?? (type?.enum?.length === 1 ? type.enum[0] : ""));
}

function sendable(root, id) {
  const operations = Object.values(root.operations ?? {}).filter(
    ({ action, channel }) => action === "receive" && channel.$ref === `#/channels/${id.replaceAll("~", "~0").replaceAll("/", "~1")}`,
  );
  const messages = operations.flatMap(({ messages: used }) => used ?? []).map((used) => resolve(root, used));
  // What the library takes, the panel has a button for.
  const theirs = messages.filter((message) => !typeOf(root, message).startsWith(FRAMES));
  return theirs.map((message) => ({
    title: message.title ?? message.name ?? "Message",
    schema: message.payload ?? {},
    examples: message.examples?.length ? message.examples : [{ name: "", payload: {} }],
  }));
}

/**
 * The path with its parameters: as a ticket names it, and as an address has it.
 *
 * @param {string} address
 * @param {Record<string, string>} values
 */
export function pathOf(address, values) {
  const fill = (encode) => address.replace(/\{([^{}]+)\}/g, (whole, name) => (name in values ? encode(values[name]) : whole));
  return { plain: fill(String), encoded: fill(encodeURIComponent) };
}
