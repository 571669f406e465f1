/** One channel's panel: who you are, the connection, what is sent, what was said. */

import { Composer } from "./try-composer.js";
import { Connection } from "./try-connection.js";
import { CookieView } from "./try-cookie-view.js";
import { choice, conceal, el, field, isOff, isSecond, say, switchOff } from "./try-dom.js";
import { channelOf, pathOf, prefixOf, ticketUrl } from "./try-document.js";
import { explain } from "./try-explain.js";
import { RENEW, SUBPROTOCOL } from "./try-frames.js";
import { Life } from "./try-life.js";
import { LifeView } from "./try-life-view.js";
import { forget, isSameLogin, left, login, onLogin } from "./try-login.js";
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

/** Seconds after which a socket counts as let in, where the server is silent: a refusal may be one that is closed at once. */
const SETTLED = 1;

const WAYS_OUT = { getting: "Cancel", connecting: "Cancel", closing: "Drop now" };

const isSeen = (element) => {
  const { top, bottom } = element.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
};

/**
 * @typedef {object} Opener What a connection is made with. It stays that, whatever is chosen or logged in meanwhile.
 * @property {boolean} bySession
 * @property {string | null} user Who is logged in by session, where it is made with that.
 * @property {import("./try-login.js").Held | null} login Whose token it is made with; null where it is none that the page knows.
 */

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
    this.life = null;
    /** @type {Opener} Of the latest attempt. */
    this.opener = { bySession: false, user: null, login: null };
    this.hasConnected = false;
    this.isBrief = false;
    this.connection = new Connection({
      get: (signal) => this.#get(signal),
      target: () => this.#target(),
      changed: (state, before) => this.#changed(state, before),
      received: (data, frame) => this.#received(data, frame),
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
    const opener = this.#chosen();
    this.opener = opener;
    if (this.method === "session") {
      await this.page.settled;
      return { ok: true };
    }
    const byCookie = this.method === "cookie";
    const answer = await (byCookie ? this.page.provideCookie(opener.login, signal) : this.#fetchTicket(opener, signal));
    this.#heed(answer, opener, signal);
    // Only now it is known whose cookie the browser has, and who is logged in by session.
    if (byCookie) opener.login = this.page.cookieLogin;
    else if (opener.bySession) opener.user = this.page.seen.user;
    return answer;
  }

  /** @returns {Opener} By what is chosen and logged in now. */
  #chosen() {
    if (this.#bySession) return { bySession: true, user: this.page.seen.user, login: null };
    return { bySession: false, user: null, login: this.method === "none" ? null : login() };
  }

  /** A token that the server does not take is not shown to it again. One that came later stays. */
  #heed(answer, opener, signal) {
    if (answer.status === 401 && !signal.aborted) this.#dropToken(opener);
  }

  #dropToken(opener) {
    if (opener.login && opener.login.token === login()?.token) forget();
  }

  async #fetchTicket(opener, signal) {
    const asked = performance.now();
    const answer = await this.#askForTicket(opener, signal);
    if (!answer.ok || signal.aborted) return answer;
    this.ticket = new Ticket(answer.body.ticket_uuid, this.path.plain, answer.body.expires_in, asked);
    this.logView.log.note(`Ticket, good for ${answer.body.expires_in} s and for one connection.`);
    return answer;
  }

  async #askForTicket({ bySession, login: held }, signal) {
    const [url, path] = [ticketUrl(this.page.root), this.path.plain];
    const answer = await (bySession
      ? this.page.ticketBySession(url, path, signal)
      : this.page.server.ticketByToken(url, path, held.token, signal));
    if (answer.ok) learn(answer.body.ticket_uuid);
    return answer;
  }

  get #bySession() {
    return this.method === "session" || (this.method === "ticket" && this.ticketView.source === "session");
  }

  #received(data, frame) {
    this.logView.log.message("received", data);
    this.life.isSpokenTo = true;
    if (!frame) return;
    this.life.hear(frame);
    this.render();
  }

  /** Live on with a fresh ticket, which is got as the one for a connection is. */
  async renew() {
    const { life } = this;
    if (this.whyNoRenewal || !life.begin()) return;
    this.logView.log.note("Asking for a ticket to renew with.");
    this.render();
    this.renewing = new AbortController();
    // The token that is held now may be a later one of the same login.
    const asking = { ...this.opener, login: login() };
    const answer = await this.#askForTicket(asking, this.renewing.signal);
    if (this.life !== life || this.state.name !== "open") return;
    if (!asking.bySession) this.#heed(answer, asking, this.renewing.signal);
    // By asking, the page may have learned that another user is logged in by session. That user's ticket would end the socket.
    if (answer.ok && this.whyNoRenewal) life.end(null);
    else if (answer.ok) {
      life.sent();
      this.#transmit(JSON.stringify({ type: RENEW, ticket_uuid: answer.body.ticket_uuid }));
    } else life.end({ kind: "refused", answer });
    this.render();
  }

  /** Why the socket that is open cannot be renewed from here, or "". */
  get whyNoRenewal() {
    const { page, method, opener } = this;
    if (!this.connection.speaks) return "It cannot be renewed: the application has chosen another subprotocol than ticketauth.v1.";
    if (!ticketUrl(page.root)) return "It cannot be renewed from here: this project has no ticket endpoint.";
    if (method === "none") return "It cannot be renewed from here: a ticket is somebody's, and this socket nobody's.";
    if (!this.ticketView.mayAsk(opener.bySession ? "session" : "token")) return "It cannot be renewed from here: the ticket endpoint takes another credential.";
    if (opener.bySession) return this.#whyNoRenewalBySession;
    if (method === "cookie" && !opener.login) return "It cannot be renewed from here: no script can read the browser's own cookie.";
    if (!login()) return "It cannot be renewed from here: the page holds no token to get a ticket with.";
    if (!isSameLogin(opener.login, login())) return "It cannot be renewed: another login is held now, and a socket stays with the login that opened it.";
    return left() === 0 ? "It cannot be renewed: the token has ended, and another login would be another's." : "";
  }

  get #whyNoRenewalBySession() {
    const { user } = this.page.seen;
    if (!user) return "It cannot be renewed: nobody is logged in by session any more.";
    const opened = this.opener.user ?? user;
    return user === opened ? "" : "It cannot be renewed: another user is logged in by session now, and a socket stays with the login that opened it.";
  }

  /** Where to connect to. A ticket is spent by asking. */
  #target() {
    // What was asked for is what it was asked with.
    if (!["ticket", "cookie"].includes(this.method)) this.opener = this.#chosen();
    const url = new URL(`${prefixOf(this.page.root)}${this.path.encoded}`, location.href.replace(/^http/, "ws"));
    const protocols = this.channel.ready || this.channel.renews ? [SUBPROTOCOL] : [];
    if (this.method === "query") url.searchParams.set(this.#name("query"), this.opener.login.token);
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
    this.#abridge(state, before);
    this.wasSeen = isSeen(this.stopButton);
    if (state.name === "closed") this.#explain(state.outcome);
    else this.#tell(null);
    this.render();
  }

  /** How the connection is made steps back while there is one, and after a disconnect; what went wrong brings it back. */
  #abridge({ name, outcome }, before) {
    const arrives = WITH_SOCKET.includes(name) && !WITH_SOCKET.includes(before.name);
    if (arrives) {
      this.hasConnected = this.isBrief = true;
      this.life = new Life();
    }
    if (name === "connecting") this.life = null;
    if (name !== "open") this.renewing?.abort();
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
    const around = { ...this.around, welcome: this.#wasWelcome(outcome) };
    const lost = outcome.kind === "failed" || outcome.code === 1006;
    if (lost || [4401, 4403].includes(outcome.code)) around.reachable = (await this.page.refresh()).status > 0;
    if (this.state.attempt !== attempt) return;
    around.origin = this.page.seen.origin;
    if (this.#hasLostItsLogin(outcome, around)) this.#dropCredential();
    const words = explain(outcome, around);
    this.logView.log.note([`${words.title}.`, ...words.lines].join("\n"));
    this.#tell(words);
    // What unfolds above has pushed it down. Who reads elsewhere stays there.
    if (this.wasSeen) this.outcome.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  /** What the words depend on. */
  get around() {
    const { life } = this;
    return {
      method: this.method,
      byToken: !this.opener.bySession,
      closes: this.channel.closes,
      advice: this.page.words.advice,
      reachable: null,
      origin: this.page.seen.origin,
      welcome: false,
      ending: life?.ending ?? "",
      renewing: life?.waitsFor === "answer",
      reconnectWithin: life?.reconnectWithin ?? 0,
    };
  }

  /** Whether it was more than a refusal. */
  #wasWelcome({ kind, during }) {
    return kind === "closed" && during === "open" && (this.channel.ready || this.life.isSpokenTo || this.life.age > SETTLED);
  }

  /** Not where only the socket's own time was up, and not where it was another's ticket that ended it. */
  #hasLostItsLogin({ code }, { welcome, ending, renewing }) {
    if (code === 4401) return this.method !== "ticket" && !["age", "idle"].includes(ending);
    return code === 4403 && welcome && !renewing;
  }

  /** What the server did not take is not shown to it again. A token that came later stays. */
  #dropCredential() {
    if (this.method === "cookie" && this.page.seen.cookie?.ours) this.clearCookie(true);
    this.#dropToken(this.opener);
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
    const { bySession, user, login: held } = isBusy(this.state) ? this.opener : this.#chosen();
    return (bySession ? user : held?.name) ?? "";
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
    this.life?.tick();
    this.lifeView.render();
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
    this.lifeView = new LifeView(`${id}-life`, this);
    this.composer = new Composer(`${id}-send`, this.channel, this.page.root, (data) => this.#transmit(data));
    this.logView = new LogView(`${id}-log`, () => ({ channel: this.channel.id, address: this.#shownAddress(), method: this.method }));
    return el(
      "div.try-panel",
      {},
      el("div.try-controls", {}, this.#buildBrief(id), this.#buildSetup(id), this.#buildBar(id), this.lifeView.element, this.#buildOutcome(), this.composer.element),
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
    this.life?.speak();
    this.logView.log.message("sent", data);
  }
}
