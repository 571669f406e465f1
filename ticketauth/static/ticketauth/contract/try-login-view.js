/** Logs in with user name and password, or takes a token that is pasted. */

import { conceal, el, field, isOff, say, switchOff } from "./try-dom.js";
import { clock, explainLogin } from "./try-explain.js";
import { forget, keep, keepPasted, left, login } from "./try-login.js";
import { Wait } from "./try-wait.js";

export class LoginView {
  /**
   * @param {string} id Unique in the page.
   * @param {import("./try-page.js").Page} page
   * @param {() => HTMLElement} after What gets the focus when the form goes.
   */
  constructor(id, page, after) {
    this.page = page;
    this.after = after;
    this.password = this.#passwordForm(id);
    this.paste = this.#pasteForm(id);
    this.pasting = el("details.try-paste", { open: !page.seen.token_url }, el("summary", {}, page.seen.token_url ? "Paste a JWT instead" : "Paste a JWT"), this.paste);
    this.forms = el("div.try-login", {}, page.seen.token_url ? this.password : null, this.pasting);
    this.who = el("span", {});
    this.rest = el("span.try-count", {});
    this.off = el("button.button-quiet", { type: "button", onclick: () => this.#forget() }, "Log out here");
    this.held = el("div.try-row", {}, el("p", {}, this.who, this.rest), this.off);
    this.element = el("div.try-identity", {}, this.forms, this.held);
  }

  render() {
    const now = login();
    conceal(this.forms, Boolean(now), this.after());
    this.held.hidden = !now;
    if (now) say(this.who, now.name ? `Logged in here as ${now.name}.` : "A token is held.");
    this.tick();
  }

  tick() {
    const seconds = left();
    const text = seconds === null ? "" : seconds > 0 ? ` Its token ends in ${clock(seconds)}.` : " Its token has ended.";
    if (login()) say(this.rest, text);
    this.wait.tick();
  }

  /** Ask for a login that is missing. */
  require() {
    const { token_url: url } = this.page.seen;
    const first = url ? this.name : this.token;
    if (!url) this.pasting.open = true;
    this.calm();
    first.complain(url ? "Log in first, or paste a token." : "Paste an access token.");
    first.control.focus();
  }

  /** Nothing is wrong any more. */
  calm() {
    for (const each of [this.name, this.secret, this.token]) each.complain("");
  }

  #passwordForm(id) {
    const input = (name, type, autocomplete) => el("input", { id: `${id}-${name}`, type, autocomplete, required: true, autocapitalize: "off", spellcheck: "false" });
    this.name = field("User name", input("name", "text", "username"));
    this.secret = field("Password", input("password", "password", "current-password"));
    this.button = el("button.button-quiet", { type: "submit" }, "Log in");
    this.wait = new Wait();
    return el(
      "form.try-login-form.form",
      { novalidate: true, onsubmit: (event) => this.#logIn(event) },
      el("div.try-login-fields", {}, this.name, this.secret, this.button),
      this.wait.element,
    );
  }

  #pasteForm(id) {
    const input = el("input", { id: `${id}-token`, type: "password", autocomplete: "off", spellcheck: "false" });
    this.token = field("Access token", input);
    const button = el("button.button-quiet", { type: "submit" }, "Use it");
    const form = this.page.seen.token_url ? "" : ' TICKETAUTH["TOKEN_URL"] gives a login form here.';
    const note = el("p.try-hint", {}, `It stays in the memory of this page and goes with it.${form}`);
    return el("form.try-login-form.form", { novalidate: true, onsubmit: (event) => this.#take(event) }, el("div.try-login-fields", {}, this.token, button), note);
  }

  #take(event) {
    event.preventDefault();
    this.calm();
    const wrong = keepPasted(this.token.control.value);
    if (!wrong) this.token.control.value = "";
    this.token.complain(wrong);
  }

  async #logIn(event) {
    event.preventDefault();
    if (isOff(this.button)) return;
    const [name, password] = [this.name.control.value, this.secret.control.value];
    this.calm();
    this.name.complain(name ? "" : "A user name is needed.");
    this.secret.complain(password ? "" : "A password is needed.");
    if (!name || !password) return (name ? this.secret : this.name).control.focus();
    switchOff(this.button, true);
    say(this.button, "Logging in…");
    const { token_url: url, username_field: member } = this.page.seen;
    const answer = await this.page.server.logIn(url, member, name, password);
    switchOff(this.button, false);
    say(this.button, "Log in");
    this.#loggedIn(answer, name);
  }

  #loggedIn(answer, name) {
    this.wait.start(answer.retryAfter);
    const token = answer.ok ? String(answer.body.access ?? "") : "";
    if (!token) return this.secret.complain(answer.ok ? "The answer holds no access token." : explainLogin(answer));
    this.secret.control.value = "";
    // The refresh token is not kept: this page is no place for something that lives so long.
    keep(token, name);
  }

  #forget() {
    forget();
    (this.page.seen.token_url ? this.name : this.token).control.focus();
  }
}
