/** Every credential that this page has held, so that none of them is ever shown: the log's one gate asks here. */

const MOST = 200;
const SHORTEST = 16;

/** @type {Set<string>} */
const known = new Set();

/** Names of query parameters that carry credentials. */
const names = new Set(["ticket_uuid", "token"]);

// A JWT is recognised by its looks too: it may be another tab's, which a server sends back. A run of its letters is looked
// into, for an expression that looks for the dots starts anew at each `eyJ`, and a long message freezes the page.
const RUN = /[\w.-]{16,}/g;
const withoutJWT = (run) => {
  const begins = run.indexOf("eyJ");
  return begins < 0 || run.slice(begins).split(".").length < 3 ? run : `${run.slice(0, begins)}‹token›`;
};
const MEMBER = /("ticket_uuid"\s*:\s*")[^"‹]+/g;
const OFFER = /(ticketauth\.ticket\.)[\w.-]+/gi;

/** @param {string} secret From now on it is not shown. */
export function learn(secret) {
  if (!secret || secret.length < SHORTEST) return;
  known.delete(secret);
  known.add(secret);
  if (known.size > MOST) known.delete(known.values().next().value);
}

/** @param {string} name The settings may call the parameter otherwise. */
export function learnName(name) {
  names.add(name);
}

/** @param {string} text @returns {string} The same without credentials. */
export function redact(text) {
  let shown = text;
  for (const secret of known) {
    for (const form of new Set([secret, encodeURIComponent(secret)])) shown = shown.replace(any(form), "‹credential›");
  }
  for (const name of names) shown = shown.replace(new RegExp(`([?&]${escape(name)}=)[^&\\s"'#‹]+`, "g"), "$1‹credential›");
  return shown.replace(MEMBER, "$1‹ticket›").replace(RUN, withoutJWT).replace(OFFER, "$1‹ticket›");
}

const any = (text) => new RegExp(escape(text), "gi");
const escape = (text) => text.replace(/[.*+?^${}()|[\]\\-]/g, "\\$&");
