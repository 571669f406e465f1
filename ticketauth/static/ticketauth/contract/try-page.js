/** What all panels of a page share: the document, what the server knows of this browser, and the one cookie. */

import { load } from "./try-document.js";
import { learnName } from "./try-secrets.js";
import { Server } from "./try-server.js";

export class Page {
  /**
   * @param {{document: string, state: string, cookie: string}} addresses
   * @param {{advice: Record<string, string>, endings: Record<string, string>}} words The page's own: what a client does
   *   after a close, and what keeps a socket that is about to end.
   */
  constructor(addresses, words) {
    this.addresses = addresses;
    this.words = words;
    this.server = new Server(addresses.state, addresses.cookie);
    this.root = null;
    this.seen = null;
    this.panels = [];
    this.settled = Promise.resolve();
    this.isClearing = false;
    /** Whether the browser may have the panel's cookie because of this page. */
    this.usesCookie = false;
    this.setBy = null;
    /** Numbers of questions to the server: of the last one, and of the last whose answer counts. */
    this.asked = this.answered = 0;
  }

  /** Whose the cookie is; null where no script can know. */
  get cookieLogin() {
    return this.seen.cookie?.foreign ? null : this.setBy;
  }

  /** @returns {Promise<import("./try-server.js").Answer>} Of whichever request failed, or the last. */
  async begin() {
    const document = await load(this.addresses.document);
    if (!document.ok) return document;
    this.root = document.body;
    return this.refresh();
  }

  /** Ask the server again: somebody may have logged in or out in another tab. */
  async refresh(signal) {
    const number = (this.asked += 1);
    const answer = await this.server.state(signal);
    // One that was overtaken says what was.
    if (answer.ok && number > this.answered) {
      this.answered = number;
      this.seen = answer.body;
      learnName(this.seen.names.ticket);
      learnName(this.seen.names.query);
      for (const panel of this.panels) panel.render();
    }
    return answer;
  }

  /** Shows who is logged in now, too. */
  async ticketBySession(url, path, signal) {
    const seen = await this.refresh(signal);
    return seen.ok ? this.server.ticketBySession(url, path, signal) : seen;
  }

  /** See that the browser sends a cookie: its own where it has one, else one with a login's token. */
  async provideCookie(held, signal) {
    await this.settled;
    const answer = await this.refresh(signal);
    if (!answer.ok) return answer;
    const { sent, ours, foreign } = this.seen.cookie ?? {};
    this.usesCookie ||= Boolean(ours);
    if (foreign || (sent && ours && (!held || held.token === this.setBy?.token))) return answer;
    if (!held) return { ok: false, status: 401, code: "no_token", detail: "", retryAfter: 0 };
    // Before the answer: the browser keeps what it brings, even where nobody waits for it any more.
    this.usesCookie = true;
    const set = await this.server.setCookie(held.token, signal);
    if (set.status >= 400) this.usesCookie = Boolean(ours);
    if (set.ok) this.setBy = held;
    this.#note(set);
    return set;
  }

  /** Take the panel's cookie away, unless a panel still wants it; `anyway` where the user says so. */
  clearCookie(anyway = false) {
    if (!anyway && !this.#mayClear()) return null;
    this.usesCookie = false;
    this.setBy = null;
    this.isClearing = true;
    this.settled = this.#clear();
    return this.settled;
  }

  /** The page goes away. */
  leave() {
    for (const panel of this.panels) panel.leave();
    if (this.usesCookie) this.server.clearCookie();
    this.usesCookie = false;
  }

  async #clear() {
    const seen = await this.refresh();
    const answer = seen.ok ? await this.server.clearCookie() : seen;
    this.isClearing = false;
    this.#note(answer);
    return answer;
  }

  #mayClear() {
    return (this.usesCookie || Boolean(this.seen?.cookie?.ours)) && !this.panels.some(({ method }) => method === "cookie");
  }

  #note(answer) {
    if (answer.ok && this.seen) {
      // What was asked before knows nothing of it.
      this.answered = this.asked;
      this.seen.cookie = { ...this.seen.cookie, ...answer.body };
    }
    for (const panel of this.panels) panel.render();
  }
}
