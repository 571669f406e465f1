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
 * @property {Record<string, string>} advice The page's, by the document's word for what a client does.
 * @property {boolean | null} reachable Whether the server answers over HTTP; null where nobody has asked.
 * @property {{value: string, allowed: boolean} | null} origin The page's own.
 * @property {boolean} welcome Whether the socket was let in before it was closed.
 * @property {string} ending Why it was to end just now, as announced; "" where it was not.
 * @property {boolean} renewing Whether a ticket was on its way to the server.
 * @property {number} reconnectWithin Seconds over which clients come back after a restart; 0 where nobody has told.
 */

const STOP = "stop";
const BACK_OFF = "back off, then new ticket";

/** Codes of RFC 6455 7.4.1 that no document lists. */
const COMMON = {
  1000: ["ok", "Closed normally", "Nothing: this is the end that was meant."],
  1001: ["warn", "The server goes away", BACK_OFF],
  1002: ["bad", "A protocol error, which is a bug", STOP],
  1003: ["bad", "The server does not take this kind of data", STOP],
  1005: ["ok", "Closed without a code", BACK_OFF],
  1006: ["bad", "The connection was lost, and no close code came", BACK_OFF],
  1007: ["bad", "The data was not what its type says", STOP],
  1008: ["bad", "Against a policy of the server", STOP],
  1011: ["bad", "The server failed", BACK_OFF],
};

/** @param {import("./try-machine.js").Outcome} outcome @param {Around} around @returns {Words} */
export function explain(outcome, around) {
  const words = { retryAfter: 0, lines: [], ...KINDS[outcome.kind](outcome, around) };
  return { ...words, advice: around.advice?.[words.advice] ?? words.advice };
}

const KINDS = {
  cancelled: () => ({ tone: "ok", title: "Cancelled", lines: ["Nothing is open."], advice: "" }),
  dropped: () => ({ tone: "warn", title: "Dropped", lines: ["The server did not confirm the close. Nothing more is received."], advice: "" }),
  late: ({ during }) => ({ tone: "bad", advice: BACK_OFF, ...LATE[during] }),
  refused: ({ answer }, around) => refused(answer, around),
  failed: (outcome, around) => failed(around),
  closed: (outcome, around) => closed(outcome, around),
};

const LATE = {
  getting: { title: "No answer within 10 seconds", lines: ["The server was asked for a credential and did not answer."] },
  connecting: { title: "No connection within 10 seconds", lines: ["The opening handshake got no answer. A ticket may be spent all the same."] },
  waiting: {
    title: "Not ready within 5 seconds",
    lines: ["The socket was open, but the first frame, ticketauth.ready, did not come. Until it comes a client is not authenticated."],
  },
};

function closed({ by, code, reason }, around) {
  if (by === "page") return { tone: "ok", title: `Closed by you (${code})`, advice: "" };
  const { word, retryAfter } = reasonOf(reason);
  const said = word ? [`Reason: ${word}.`] : [];
  const known = around.closes[code];
  if (!known) {
    const [tone, title, advice] = COMMON[code] ?? ["bad", "A code of this application's own", BACK_OFF];
    return { tone, title: `${title} (${code})`, lines: said, advice, retryAfter };
  }
  const { line = "", advice = known.retry } = (around.welcome ? ENDED : REFUSED)[code]?.({ ...around, retryAfter }) ?? {};
  return {
    tone: known.retry === STOP ? "bad" : "warn",
    title: `${around.welcome ? "Closed by the server" : "Refused"}: ${known.meaning} (${code})`,
    lines: line ? [line, ...said] : said,
    advice,
    retryAfter,
  };
}

/** Of a socket that was let in: what the code means by then. */
const ENDED = {
  1012: ({ reconnectWithin: within }) =>
    within ? { advice: `Wait for a random time of up to ${within} s, so that not all come at once; then get a new credential and reconnect.` } : {},
  4401: ({ ending }) => ({ line: TIME_IS_UP[ending] ?? "Its time was up: its login or token has ended, or it was open or silent for too long." }),
  4403: ({ renewing }) =>
    renewing
      ? { line: "The ticket of the renewal was another user's or another login's, or the login is over. A socket stays with the login that opened it." }
      : { line: "Its login is over: a logout, here or elsewhere, a changed password, or an administrator; or this connection alone was ended. Log in again, then connect." },
  4429: ({ retryAfter }) => ({
    line: retryAfter ? "More messages came than the server takes on one socket in that time." : "What the server sent was left unread for too long.",
  }),
};

const TIME_IS_UP = {
  credential: "Its login or token has ended, as announced.",
  age: "It was open for as long as a socket may be, as announced.",
  idle: "Nothing was sent for too long, as announced.",
};

/** Of a handshake. */
const REFUSED = {
  4401: ({ method }) => ({ line: NOT_AUTHENTICATED[method] }),
  4429: () => ({ line: "Too many sockets are open: of this user, or from this address. Close some." }),
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
    return { tone: "bad", title: "The server cannot be reached", lines: ["It does not answer over HTTP either."], advice: BACK_OFF };
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
  0: () => ["bad", "The server cannot be reached", BACK_OFF],
  "0 late": () => ["bad", "No answer within 10 seconds", BACK_OFF],
  "401 no_token": () => ["bad", "Nobody is logged in here", "Log in, or paste a token, then connect."],
  400: () => ["bad", "The request was not understood", "Stop: this is a bug, or the path leads to no WebSocket."],
  401: ({ byToken }) =>
    byToken
      ? ["bad", "Your token has ended", "Log in again."]
      : ["bad", "Nobody is logged in by session", "Log in, then connect."],
  403: () => ["bad", "Not permitted", "Reload the page, and try once more."],
  "403 origin_refused": () => ["bad", "Not from this address", "Open the page at the address that the server knows as its own."],
  404: () => ["bad", "There is nothing at this address", "Try it out is off, or what you see here is not for you any more. Reload the page."],
  "409 cookie_not_ours": () => ["warn", "The browser has a cookie of its own", "Connect uses it. The panel does not touch it."],
  429: () => ["warn", "Too many requests", "Wait as long as the server says."],
  500: () => ["bad", "The server failed", BACK_OFF],
  503: () => ["warn", "The server cannot do it now: something that it needs is down", "Wait, then try again."],
};

/**
 * What became of a renewal.
 *
 * @param {import("./try-life.js").Result} result
 * @param {Around} around
 * @returns {{tone: "ok" | "bad", text: string, retryAfter: number}}
 */
export function explainRenewal({ kind, frame, answer }, around) {
  if (kind === "renewed") {
    return { tone: "ok", text: frame.expires_at ? `Renewed until ${moment(frame.expires_at)}.` : "Renewed. Nothing says when it ends.", retryAfter: 0 };
  }
  const [why, retryAfter] = answer ? noTicket(answer, around) : frame ? notTaken(frame) : ["The server did not answer.", 0];
  return { tone: "bad", text: `Not renewed. ${why} The socket stays open, and ends when it was to end.`, retryAfter };
}

function noTicket(answer, around) {
  const { title, retryAfter } = explain({ kind: "refused", answer }, around);
  return [`${title}.`, retryAfter];
}

const notTaken = ({ code, detail, retry_after: retryAfter }) => [
  NOT_TAKEN[code] ?? `The server says: ${detail ?? code}`,
  Number(retryAfter) || 0,
];

const NOT_TAKEN = {
  malformed: "The server did not understand the ticket.",
  not_authenticated: "The ticket was unknown, used or expired. Renew takes a new one.",
  unavailable: "Something that the server needs is down.",
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
      401: "User name or password is wrong.",
      429: "Too many attempts.",
      503: "The server cannot log you in now: something that it needs is down.",
    }[status] ?? `The server refused (HTTP ${status}). ${detail}`
  );
}

/** @param {number} size @returns {string} */
export const bytes = (size) => (size < 1024 ? `${size} B` : size < 1024 ** 2 ? `${(size / 1024).toFixed(1)} KB` : `${(size / 1024 ** 2).toFixed(1)} MB`);

/** @param {string} written RFC 3339. @returns {string} For a person, here. */
export function moment(written) {
  const date = new Date(written);
  const time = date.toLocaleTimeString([], { hour12: false });
  const [day, now] = [date.toDateString(), new Date()];
  if (day === now.toDateString()) return time;
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return `${date.toLocaleDateString([], { day: "numeric", month: "short", year })}, ${time}`;
}

/** @param {number} seconds @returns {string} */
export function clock(seconds) {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
