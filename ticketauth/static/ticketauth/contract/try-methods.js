/** Which methods a channel offers, and why not another. */

const WORDS = {
  ticket: ["ticket_query", "ticket_subprotocol"],
  session: ["session"],
  cookie: ["jwt_cookie"],
  query: ["jwt_query"],
};

/**
 * @param {import("./try-document.js").Channel} channel
 * @param {object} seen The server's state.
 * @param {string} endpoint The ticket endpoint's address, "" where there is none.
 * @returns {{value: string, label: string, code: string, off?: string}[]} `off` says why.
 */
export function methodsOf(channel, seen, endpoint) {
  const takes = (method) => channel.schemes.some(({ word }) => WORDS[method].includes(word));
  const { names } = seen;
  const offered = [
    { value: "ticket", label: "Ticket", code: ticketName(channel, names), off: endpoint ? "" : "this project has no ticket endpoint." },
    { value: "session", label: "Session cookie", code: names.session },
    { value: "cookie", label: "Cookie JWT", code: names.cookie },
  ].filter(({ value }) => takes(value));
  const query = { value: "query", label: "Query param", code: `?${names.query}=`, off: takes("query") ? "" : whyNot(seen) };
  const nobody = channel.anonymous ? [{ value: "none", label: "None", code: "" }] : [];
  return [...offered, query, ...nobody];
}

const ticketName = (channel, names) => (inQuery(channel) ? `?${names.ticket}=` : "Sec-WebSocket-Protocol");

/** Whether a ticket may travel in the address; else it goes by subprotocol. */
export const inQuery = (channel) => channel.schemes.some(({ word }) => word === "ticket_query");

function whyNot({ jwt_query: on }) {
  return on
    ? "this path does not take a JWT in the address."
    : 'off, because a JWT in an address ends up in logs and histories, and works there until it expires (RFC 9700). Where the schemes of this path include it, TICKETAUTH["JWT_QUERY"] switches it on.';
}

/** Whether the server looks for one cookie before the other. */
export function comesFirst(channel, one, other) {
  const at = (method) => channel.schemes.findIndex(({ word }) => WORDS[method].includes(word));
  return at(one) >= 0 && at(one) < at(other);
}
