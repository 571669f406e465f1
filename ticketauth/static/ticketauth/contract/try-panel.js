/** One channel's panel: who you are, the connection, what is sent, what was said. */

import { Composer } from "./try-composer.js";
import { Connection, SUBPROTOCOL } from "./try-connection.js";
import { CookieView } from "./try-cookie-view.js";
import { choice, conceal, el, field, isOff, isSecond, say, switchOff } from "./try-dom.js";
import { channelOf, pathOf, prefixOf, ticketUrl } from "./try-document.js";
import { explain } from "./try-explain.js";
import { forget, login, onLogin } from "./try-login.js";
import { LogView } from "./try-log-view.js";
import { LoginView } from "./try-login-view.js";
import { isBusy } from "./try-machine.js";
import { inQuery, methodsOf } from "./try-methods.js";
import { learn } from "./try-secrets.js";
import { SessionView } from "./try-session-view.js";
import { Ticket } from "./try-ticket.js";
import { TicketView } from "./try-ticket-view.js";
import { Wait } from "./try-wait.js";

const TICK = 250;

const STATES = {
  idle: ["", "Not connected"],
  getting: ["warn", { ticket: "Getting a ticket…", cookie: "Looking after the cookie…", session: "Clearing up…" }],
  connecting: ["warn", "Connecting…"],
  waiting: ["warn", "Open, waiting for ready…"],
  open: ["ok", "Open"],
  closing: ["warn", "Closing…"],
  closed: ["", "Closed"],
};

/** In these there is, or was, a socket. */
const WITH_SOCKET = ["waiting", "open", "closing"];

const WAYS_OUT = { getting: "Cancel", connecting: "Cancel", closing: "Drop now" };

export class Panel {
  /**
   * @param {string} id The channel's.
   * @param {import("./try-page.js").Page} page
   * @param {string} method That is chosen already, or "".
   */
  constructor(id, page, method = "") {
    this.page = page;
    this.channel = channelOf(page.root, id);
    this.methods = methodsOf(this.channel, page.seen, ticketUrl(page.root));
    const possible = this.methods.filter(({ off }) => !off).map(({ value }) => value);
    this.method = possible.includes(method) ? method : possible[0] ?? "";
    this.ticket = null;
    this.hasConnected = false;
    this.isBrief = false;
    this.connection = new Connection({
      get: (signal) => this.#get(signal),
      target: () => this.#target(),
      changed: (state, before) => this.#changed(state, before),
      received: (data) => this.logView.log.message("received", data),
    });
    this.element = this.#build(`try-${id}`);
    this.render();
    onLogin(() => this.#loginChanged());
    setInterval(() => this.#tick(), TICK);
  }

  get state() {
    return this.connection.state;
  }

  /** The path that a ticket is for, and that the address has. */
  get path() {
    return pathOf(this.channel.address, Object.fromEntries(this.parameters.map(({ control }) => [control.name, control.value])));
  }

  /** The page goes away. */
  leave() {
    this.connection.send({ type: "reset" });
    this.ticket = null;
  }

  /** Another one is wanted. */
  forgetTicket() {
    this.ticket = null;
    this.render();
  }

  // --- What the panel does

  #connect(event) {
    event.preventDefault();
    if (isOff(this.connectButton) || !this.#isFilled() || !this.#hasLogin()) return;
    const needs = { ticket: !this.ticket?.opens(this.path.plain), cookie: true, session: this.page.isClearing }[this.method] ?? false;
    this.connection.send({ type: "connect", needs, waits: this.channel.ready });
  }

  #getTicket() {
    if (isBusy(this.state) || !this.#isFilled() || !this.#hasLogin()) return;
    this.ticket = null;
    this.connection.send({ type: "get" });
  }

  #isFilled() {
    for (const parameter of this.parameters) parameter.complain(parameter.control.value ? "" : "The path needs a value here.");
    const empty = this.parameters.find(({ control }) => !control.value);
    empty?.control.focus();
    return !empty;
  }

  #hasLogin() {
    const bySession = this.method === "ticket" && this.ticketView.source === "session";
    const byCookie = this.method === "cookie" && this.page.seen.cookie?.sent;
    if (!["ticket", "cookie", "query"].includes(this.method) || bySession || byCookie || login()) return true;
    this.loginView.require();
    return false;
  }

  #choose(method) {
    const before = this.method;
    this.logView.log.note(`Method: ${this.methods.find(({ value }) => value === method).label}.`);
    this.ticket = null;
    this.loginView.calm();
    this.connection.send({ type: "reset" });
    this.method = method;
    if (before === "cookie") this.clearCookie();
    else this.page.refresh();
    this.render();
  }

  /** `anyway`: even while a panel uses it. */
  async clearCookie(anyway = false) {
    const answer = await this.page.clearCookie(anyway);
    if (answer) this.logView.log.note(answer.ok ? "The cookie is cleared." : "The cookie could not be cleared. It ends with its token.");
  }

  async #get(signal) {
    if (this.method === "session") {
      await this.page.settled;
      return { ok: true };
    }
    const answer = await (this.method === "cookie" ? this.page.provideCookie(signal) : this.#fetchTicket(signal));
    const byToken = this.method === "cookie" || this.ticketView.source === "token";
    if (answer.status === 401 && byToken && login() && !signal.aborted) forget();
    return answer;
  }

  async #fetchTicket(signal) {
    const [url, path, asked] = [ticketUrl(this.page.root), this.path.plain, performance.now()];
    const bySession = this.ticketView.source === "session";
    const answer = await (bySession
      ? this.page.ticketBySession(url, path, signal)
      : this.page.server.ticketByToken(url, path, login().token, signal));
    if (!answer.ok || signal.aborted) return answer;
    learn(answer.body.ticket_uuid);
    this.ticket = new Ticket(answer.body.ticket_uuid, path, answer.body.expires_in, asked);
    this.logView.log.note(`Ticket, good for ${answer.body.expires_in} s and for one connection.`);
    return answer;
  }

  /** Where to connect to. A ticket is spent by asking. */
  #target() {
    const url = new URL(`${prefixOf(this.page.root)}${this.path.encoded}`, location.href.replace(/^http/, "ws"));
    const protocols = this.channel.ready ? [SUBPROTOCOL] : [];
    if (this.method === "query") url.searchParams.set(this.#name("query"), login().token);
    if (this.method === "ticket") {
      const value = this.ticket.spend();
      if (inQuery(this.channel)) url.searchParams.set(this.#name("ticket"), value);
      else protocols.splice(0, 1, SUBPROTOCOL, `ticketauth.ticket.${value}`);
    }
    return { url: url.href, protocols };
  }

  #name(method) {
    return this.page.seen.names[method];
  }

  #loginChanged() {
    if (this.ticketView.source === "token" && !isBusy(this.state)) this.ticket = null;
    this.render();
  }

  // --- What the panel shows

  #changed(state, before) {
    if (state.name !== before.name) this.#logState(state, before);
    if (state.name === "closed") this.#explain(state.outcome);
    else this.#tell(null);
    this.#abridge(state, before);
    this.render();
  }

  /** How the connection is made steps back while there is one, and after a disconnect; what went wrong brings it back. */
  #abridge({ name, outcome }, before) {
    const arrives = WITH_SOCKET.includes(name) && !WITH_SOCKET.includes(before.name);
    if (arrives) this.hasConnected = this.isBrief = true;
    if (name === "idle" || (name === "closed" && outcome.by !== "page")) this.hasConnected = this.isBrief = false;
    this.arrives = arrives;
  }

  /** Bar, editor and log together, where they fit. */
  #bringIntoSight() {
    this.arrives = false;
    const place = this.element.parentElement;
    const { top, bottom } = place.getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) place.scrollIntoView({ behavior: "instant" });
  }

  #logState(state, before) {
    const notes = {
      getting: this.method === "ticket" ? "Asking for a ticket." : "",
      connecting: `Connecting to ${this.#shownAddress()}`,
      open: before.name === "waiting" ? "Ready." : "Open.",
      waiting: "Open. Not ready yet.",
      closing: "Closing.",
    };
    if (notes[state.name]) this.logView.log.note(notes[state.name]);
  }

  async #explain(outcome) {
    const { attempt } = this.state;
    const around = {
      method: this.method,
      byToken: this.ticketView.source === "token",
      closes: this.channel.closes,
      reachable: null,
    };
    const lost = outcome.kind === "failed" || outcome.code === 1006;
    if (lost || outcome.code === 4401) around.reachable = (await this.page.refresh()).status > 0;
    if (this.state.attempt !== attempt) return;
    around.origin = this.page.seen.origin;
    if (outcome.code === 4401) this.#dropCredential();
    const words = explain(outcome, around);
    this.logView.log.note([`${words.title}.`, ...words.lines].join("\n"));
    this.#tell(words);
  }

  /** What the server did not take is not shown to it again. */
  #dropCredential() {
    if (this.method === "cookie" && this.page.seen.cookie?.ours) this.clearCookie(true);
    if (this.method === "cookie" || this.method === "query") forget();
  }

  #tell(words) {
    this.wait.start(words?.retryAfter ?? 0);
    this.outcome.dataset.tone = words?.tone ?? "";
    this.outcome.hidden = !words;
    if (!words) return this.outcomeText.replaceChildren();
    const advice = words.advice ? el("p.try-advice", {}, el("strong", {}, "What a client does: "), words.advice) : null;
    this.outcomeText.replaceChildren(el("p.try-outcome-title", {}, words.title), ...words.lines.map((line) => el("p", {}, line)));
    if (advice) this.outcomeText.append(advice);
  }

  /** Show everything as it is now. */
  render() {
    const { name } = this.state;
    const [tone, text] = this.#standing();
    say(this.badge, typeof text === "string" ? text : text[this.method] ?? "Getting ready…");
    this.badge.dataset.tone = tone;
    switchOff(this.connectButton, isBusy(this.state) || !this.method);
    switchOff(this.stopButton, !isBusy(this.state));
    say(this.stopButton, WAYS_OUT[name] ?? "Disconnect");
    for (const { control } of this.parameters) control.readOnly = isBusy(this.state);
    this.composer.offer(name === "open");
    this.#renderMethod();
    say(this.address, this.#shownAddress());
    this.#renderBrief();
    this.#tick();
  }

  /** Closed is what was open before. */
  #standing() {
    const { name, outcome } = this.state;
    return STATES[name === "closed" && !WITH_SOCKET.includes(outcome.during) ? "idle" : name];
  }

  #renderBrief() {
    const { label } = this.methods.find(({ value }) => value === this.method) ?? { label: "" };
    const who = this.#who();
    say(this.summary, who ? `${label} · ${who}` : label);
    this.change.setAttribute("aria-expanded", String(!this.isBrief));
    say(this.change, this.isBrief ? "Change" : "Done");
    conceal(this.brief, !this.hasConnected, this.connectButton);
    conceal(this.setup, this.isBrief, this.connectButton);
    this.element?.toggleAttribute("data-brief", this.isBrief);
    if (this.arrives) this.#bringIntoSight();
  }

  #who() {
    if (this.method === "none") return "";
    const bySession = this.method === "session" || (this.method === "ticket" && this.ticketView.source === "session");
    return (bySession ? this.page.seen.user : login()?.name) ?? "";
  }

  #renderMethod() {
    const { method } = this;
    const views = {
      ticket: [this.ticketView], session: [this.sessionView], cookie: [this.loginView, this.cookieView], query: [this.loginView],
    }[method] ?? [];
    if (method === "ticket") views.push(this.ticketView.source === "session" ? this.sessionView : this.loginView);
    for (const view of [this.ticketView, this.loginView, this.sessionView, this.cookieView]) {
      view.element.hidden = !views.includes(view);
      view.render();
    }
    this.nobody.hidden = method !== "none";
  }

  #shownAddress() {
    const { protocol, host } = location;
    const name = { ticket: inQuery(this.channel) ? this.#name("ticket") : "", query: this.#name("query") }[this.method];
    const query = name ? `?${name}=‹${this.method === "query" ? "token" : "ticket"}›` : "";
    return `${protocol.replace("http", "ws")}//${host}${prefixOf(this.page.root)}${this.path.encoded}${query}`;
  }

  #tick() {
    this.ticketView.tick();
    this.loginView.tick();
    this.wait.tick();
  }

  #build(id) {
    const toConnect = () => this.connectButton;
    this.loginView = new LoginView(`${id}-login`, this.page, toConnect);
    this.sessionView = new SessionView(this);
    this.ticketView = new TicketView(`${id}-ticket`, this, () => this.#getTicket());
    this.cookieView = new CookieView(this);
    this.composer = new Composer(`${id}-send`, this.channel, this.page.root, (data) => this.#transmit(data));
    this.logView = new LogView(`${id}-log`, () => ({ channel: this.channel.id, address: this.#shownAddress(), method: this.method }));
    return el(
      "div.try-panel",
      {},
      el("div.try-controls", {}, this.#buildBrief(id), this.#buildSetup(id), this.#buildBar(id), this.#buildOutcome(), this.composer.element),
      this.logView.element,
    );
  }

  #buildBrief(id) {
    this.summary = el("strong", {});
    this.change = el("button.button-quiet", { type: "button", "aria-controls": `${id}-setup`, onclick: () => this.#toggle() }, "Change");
    this.brief = el("div.try-brief.try-row", { hidden: true }, el("p", {}, this.summary), this.change);
    return this.brief;
  }

  #buildSetup(id) {
    this.setup = el("div.try-setup", { id: `${id}-setup` }, this.#buildMethods(id), this.#buildMethod(), this.#buildWhere(id));
    return this.setup;
  }

  #toggle() {
    this.isBrief = !this.isBrief;
    this.render();
  }

  #buildMethod() {
    const { sources, element } = this.ticketView;
    return el("div.try-method", {}, sources, this.sessionView.element, this.loginView.element, element, this.cookieView.element, this.nobody);
  }

  #buildMethods(id) {
    this.nobody = el("p", {}, "This path lets a handshake without a credential in, as nobody in particular.");
    if (!this.method) {
      const names = this.channel.schemes.map((scheme) => scheme.id).join(", ");
      return el("p.try-none", {}, `This path takes only what a page in a browser cannot send: ${names}.`);
    }
    const choices = this.methods.map(({ value, label, code, off }) => ({ value, label, code, off, describedby: off ? `${id}-why` : null }));
    const group = choice(`${id}-method`, "Method", choices, (method) => this.#choose(method));
    group.choose(this.method);
    const reasons = this.methods.filter(({ off }) => off).map(({ label, off }) => `${label}: ${off}`);
    return el("div.try-methods", {}, group, reasons.length ? el("p.try-why", { id: `${id}-why` }, ...reasons) : null);
  }

  #buildWhere(id) {
    this.parameters = this.channel.parameters.map(({ name, description, example }) => {
      const input = el("input", { id: `${id}-parameter-${name}`, name, value: example, autocomplete: "off", spellcheck: "false", oninput: () => this.render() });
      return field(name, input, description ? el("p.try-hint", {}, description) : null);
    });
    this.address = el("code.try-address", { translate: "no" });
    return el(
      "form.try-connect.form",
      { id: `${id}-connect`, novalidate: true, onsubmit: (event) => this.#connect(event) },
      this.parameters.length ? el("div.try-parameters", {}, ...this.parameters) : null,
      el("p.try-where", {}, el("span.try-label", {}, "Address"), this.address),
    );
  }

  /** It stays in sight, so that there is always a way out. */
  #buildBar(id) {
    this.connectButton = el("button.button", { type: "submit", form: `${id}-connect`, onclick: (event) => isSecond(event) && event.preventDefault() }, "Connect");
    this.stopButton = el("button.button-quiet", { type: "button", onclick: (event) => this.#stop(event) }, "Disconnect");
    this.badge = el("span.try-state", {});
    const status = el("p.try-status", { role: "status" }, el("span.try-label", {}, "State"), this.badge);
    return el("div.try-bar.try-buttons", {}, this.connectButton, this.stopButton, status);
  }

  #buildOutcome() {
    this.wait = new Wait();
    this.outcomeText = el("div", {});
    this.outcome = el("div.try-outcome", { hidden: true }, this.outcomeText, this.wait.element);
    return el("div.try-live", { "aria-live": "polite" }, this.outcome);
  }

  #stop(event) {
    if (!isOff(this.stopButton) && !isSecond(event)) this.connection.send({ type: "stop" });
  }

  #transmit(data) {
    this.connection.transmit(data);
    this.logView.log.message("sent", data);
  }
}
