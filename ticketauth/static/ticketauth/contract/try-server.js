/** What the panel asks over HTTP. Every answer has one shape; nothing is thrown. */

import { learn } from "./try-secrets.js";

/** Milliseconds that an answer may take. */
export const LIMIT = 10_000;

/**
 * @typedef {object} Answer
 * @property {boolean} ok
 * @property {number} status 0: there was no answer.
 * @property {string} [code] The problem's word.
 * @property {string} [detail] The problem's sentence.
 * @property {number} [retryAfter] Seconds.
 * @property {any} [body]
 */

/**
 * @param {string} url
 * @param {RequestInit} init
 * @returns {Promise<Answer>}
 */
export async function ask(url, init = {}) {
  const limit = AbortSignal.timeout(LIMIT);
  const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
  try {
    const response = await fetch(url, { cache: "no-store", redirect: "error", ...init, signal });
    const body = await response.json().catch(() => null);
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    const { code = "", detail = "" } = response.ok || !body ? {} : body;
    return { ok: response.ok && body !== null, status: response.status, code, detail, retryAfter, body };
  } catch {
    return { ok: false, status: 0, code: limit.aborted ? "late" : "unreachable", detail: "", retryAfter: 0, body: null };
  }
}

const json = (body, headers, more = {}) => ({
  method: "POST",
  headers: { "Content-Type": "application/json", Accept: "application/json", ...headers },
  body: JSON.stringify(body),
  credentials: "same-origin",
  ...more,
});

const bearer = (token) => ({ Authorization: `Bearer ${token}` });

/** The panel's half of the server: who is logged in, the names of things, and the cookie. */
export class Server {
  /** @param {string} state @param {string} cookie Addresses. */
  constructor(state, cookie) {
    this.stateUrl = state;
    this.cookieUrl = cookie;
    this.csrf = {};
  }

  /** As the server sees this browser now. The CSRF token changes with every login: ask before what needs it. */
  async state(signal) {
    const answer = await ask(this.stateUrl, { signal, credentials: "same-origin" });
    if (answer.ok) {
      this.csrf = { [answer.body.csrf_header]: answer.body.csrf_token };
      learn(answer.body.csrf_token);
      answer.body = { ...answer.body, csrf_token: undefined };
    }
    return answer;
  }

  /** Without cookies, so that it is the token that counts. */
  ticketByToken(url, path, token, signal) {
    return ask(url, json({ path }, bearer(token), { credentials: "omit", signal }));
  }

  ticketBySession(url, path, signal) {
    return ask(url, json({ path }, this.csrf, { signal }));
  }

  /** `field`: what the user model calls the name. */
  logIn(url, field, name, password) {
    return ask(url, json({ [field]: name, password }, {}, { credentials: "omit" }));
  }

  setCookie(token, signal) {
    return ask(this.cookieUrl, json({ action: "set" }, { ...bearer(token), ...this.csrf }, { signal }));
  }

  /** It arrives even where the page goes away, and nobody waits for the answer. */
  clearCookie() {
    return ask(this.cookieUrl, json({ action: "clear" }, this.csrf, { keepalive: true }));
  }
}
