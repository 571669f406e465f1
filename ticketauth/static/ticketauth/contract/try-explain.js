/** What happened, in words: for a close code, for a refusal over HTTP, for a failure that the browser says nothing about. */

/**
 * @typedef {object} Words
 * @property {"ok" | "warn" | "bad"} tone
 * @property {string} title
 * @property {string[]} lines
 * @property {string} advice What a client should do.
 * @property {number} retryAfter Seconds; 0 where nobody says.
 *
 * @typedef {object} Around What the panel knows besides.
 * @property {string} method
 * @property {boolean} byToken Whether the ticket is asked for with a token, not with the session.
 * @property {Record<string, {meaning: string, retry: string}>} closes The document's.
 * @property {boolean | null} reachable Whether the server answers over HTTP; null where nobody has asked.
 * @property {{value: string, allowed: boolean} | null} origin The page's own.
 */

const ADVICE = {
  stop: "Do not connect again by yourself.",
  "new ticket, reconnect": "Get a new ticket and connect again, at once and once; if that ends the same way, back off.",
  "back off, then new ticket": "Wait, longer each time, with a random part; then get a new ticket and connect.",
};

const LOST = "Back off with a random part, then get a new ticket and connect.";

/** Codes of RFC 6455 7.4.1 that no document lists. */
const COMMON = {
  1000: ["ok", "Closed normally", "Nothing: this is the end that was meant."],
  1001: ["warn", "The server goes away", LOST],
  1002: ["bad", "A protocol error", "Do not connect again by yourself: this is a bug."],
  1003: ["bad", "The server does not take this kind of data", "Do not connect again by yourself: this is a bug."],
  1005: ["ok", "Closed without a code", LOST],
  1006: ["bad", "The connection was lost, and no close code came", LOST],
  1007: ["bad", "The data was not what its type says", "Do not connect again by yourself: this is a bug."],
  1008: ["bad", "Against a policy of the server", "Do not connect again by yourself."],
  1011: ["bad", "The server failed", LOST],
};

/** @param {import("./try-machine.js").Outcome} outcome @param {Around} around @returns {Words} */
export function explain(outcome, around) {
  return { retryAfter: 0, lines: [], ...KINDS[outcome.kind](outcome, around) };
}

const KINDS = {
  cancelled: () => ({ tone: "ok", title: "Cancelled", lines: ["Nothing is open."], advice: "" }),
  dropped: () => ({ tone: "warn", title: "Dropped", lines: ["The server did not confirm the close. Nothing more is received."], advice: "" }),
  late: ({ during }, around) => ({ tone: "bad", ...LATE[during](around) }),
  refused: ({ answer }, around) => refused(answer, around),
  failed: (outcome, around) => failed(around),
  closed: (outcome, around) => closed(outcome, around),
};

const LATE = {
  getting: () => ({ title: "No answer within 10 seconds", lines: ["The server was asked for a credential and did not answer."], advice: LOST }),
  connecting: () => ({ title: "No connection within 10 seconds", lines: ["The opening handshake got no answer. A ticket may be spent all the same."], advice: LOST }),
  waiting: () => ({
    title: "Not ready within 5 seconds",
    lines: ["The socket was open, but the first frame, ticketauth.ready, did not come. Until it comes a client is not authenticated."],
    advice: LOST,
  }),
};

function closed({ by, code, reason, during }, { closes, method }) {
  if (by === "page") return { tone: "ok", title: `Closed by you (${code})`, advice: "" };
  const { word, retryAfter } = reasonOf(reason);
  const lines = word ? [`Reason: ${word}.`] : [];
  const known = closes[code];
  if (!known) {
    const [tone, title, advice] = COMMON[code] ?? ["bad", "A code of this application's own", LOST];
    return { tone, title: `${title} (${code})`, lines, advice, retryAfter };
  }
  if (Number(code) === 4401) lines.push(NOT_AUTHENTICATED[method] ?? "");
  const when = during === "waiting" ? "Refused" : "Closed by the server";
  const tone = known.retry === "stop" ? "bad" : "warn";
  return { tone, title: `${when}: ${known.meaning} (${code})`, lines, advice: adviceOf(known.retry, method), retryAfter };
}

const adviceOf = (retry, method) => {
  const advice = ADVICE[retry] ?? retry;
  return method === "ticket" ? advice : advice.replace("Get a new ticket and", "See that the credential is good, and").replace("get a new ticket and connect", "connect");
};

const NOT_AUTHENTICATED = {
  ticket: "The ticket was unknown, used or expired, or its user may no longer come in. The server tells nobody which; its log says it. Connect takes a new ticket.",
  session: "Nobody is logged in by session in this browser, or the session is over. Log in, then connect.",
  cookie: "The cookie is missing, its token is no good or has expired, or its login is over. Log in, and Connect sets a new one.",
  query: "The token is no good or has expired, or its login is over. Log in again.",
  none: "This path asks for a credential after all.",
};

/** Nothing but "it failed" reaches the page (RFC 6455 10, WHATWG WebSockets): the rest is what remains possible. */
function failed({ reachable, origin, method }) {
  if (reachable === false) {
    return { tone: "bad", title: "The server cannot be reached", lines: ["It does not answer over HTTP either."], advice: LOST };
  }
  const lines = ["A browser does not say why. What is possible, with the status that the server's log has:"];
  if (origin && !origin.allowed) lines.push(`• 403: this page's origin, ${origin.value}, is not on ALLOWED_ORIGINS. That is it, most likely.`);
  lines.push("• 404: no socket at this path: a path parameter has a value that the route does not match.");
  if (method !== "none") lines.push("• 400 or 401: the credential is malformed or no good, or there are two.");
  lines.push("• 429 or 503: too many sockets, or a dependency is down.", "• A proxy in between does not pass the upgrade on.");
  return { tone: "bad", title: "Refused before the upgrade", lines, advice: "See what the log says. By itself a client backs off." };
}

function refused(answer, around) {
  const { status, code, detail, retryAfter } = answer;
  const [tone, title, advice] = (REFUSALS[`${status} ${code}`] ?? REFUSALS[status] ?? OTHER)(around);
  const lines = detail ? [`The server says: ${detail}`] : [];
  return { tone, title: status ? `${title} (HTTP ${status})` : title, lines, advice, retryAfter };
}

const OTHER = () => ["bad", "The server refused", "Do not try again by yourself: this is a bug."];

const REFUSALS = {
  0: () => ["bad", "The server cannot be reached", LOST],
  "0 late": () => ["bad", "No answer within 10 seconds", LOST],
  "401 no_token": () => ["bad", "Nobody is logged in here", "Log in, or paste a token, then connect."],
  400: () => ["bad", "The request was not understood", "Stop: this is a bug, or the path leads to no WebSocket."],
  401: ({ byToken, method }) =>
    byToken || method !== "ticket"
      ? ["bad", "Your token has ended", "Log in again."]
      : ["bad", "Nobody is logged in by session", "Log in, then connect."],
  403: () => ["bad", "Not permitted", "Reload the page, and try once more."],
  "403 origin_refused": () => ["bad", "Not from this address", "Open the page at the address that the server knows as its own."],
  404: () => ["bad", "There is nothing at this address", "Try it out is off, or what you see here is not for you any more. Reload the page."],
  "409 cookie_not_ours": () => ["warn", "The browser has a cookie of its own", "Connect uses it. The panel does not touch it."],
  429: () => ["warn", "Too many requests", "Wait as long as the server says."],
  500: () => ["bad", "The server failed", LOST],
  503: () => ["warn", "The server cannot do it now: something that it needs is down", "Wait, then try again."],
};

/** @returns {{word: string, retryAfter: number}} Text, or JSON where there is a time to wait. */
function reasonOf(reason) {
  try {
    const { code, retry_after: retryAfter } = JSON.parse(reason);
    return { word: String(code), retryAfter: Number(retryAfter) || 0 };
  } catch {
    return { word: reason ?? "", retryAfter: 0 };
  }
}

/** @param {import("./try-server.js").Answer} answer To user name and password. @returns {string} */
export function explainLogin({ status, detail }) {
  return (
    {
      0: "The server cannot be reached.",
      400: "User name and password are both needed.",
      401: "User name or password is wrong.",
      429: "Too many attempts.",
      503: "The server cannot log you in now: something that it needs is down.",
    }[status] ?? `The server refused (HTTP ${status}). ${detail}`
  );
}

/** @param {number} size @returns {string} */
export const bytes = (size) => (size < 1024 ? `${size} B` : size < 1024 ** 2 ? `${(size / 1024).toFixed(1)} KB` : `${(size / 1024 ** 2).toFixed(1)} MB`);

/** @param {number} seconds @returns {string} */
export function clock(seconds) {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
