/** The cookie with a JWT: the server sets and clears it, for a script neither can nor should. */

import { el, say, switchOff, isOff } from "./try-dom.js";
import { isBusy } from "./try-machine.js";
import { comesFirst } from "./try-methods.js";

export class CookieView {
  /** @param {import("./try-panel.js").Panel} panel */
  constructor(panel) {
    this.panel = panel;
    this.badge = el("span.try-state", {});
    this.text = el("p.try-hint", {});
    this.button = el("button.button-quiet", { type: "button", onclick: () => this.#clear() }, "Clear the cookie");
    const line = el("p", { role: "status" }, el("span.try-label", {}, "Cookie"), this.badge);
    this.element = el("div.try-cookie", {}, el("div.try-row", {}, line, this.button), this.text);
  }

  render() {
    const { cookie, names, user } = this.panel.page.seen;
    const { sent, ours, foreign, path } = cookie ?? {};
    const [tone, state, text] = foreign
      ? ["warn", "The browser's own", `The browser already sends ${names.cookie}, and the panel did not set it. Connect uses it; the panel does not touch it.`]
      : sent
        ? ["ok", "Set by this panel", `${names.cookie} is sent to ${path} and nowhere else. It ends with its token. Another method clears it.`]
        : ["", "Not set. Connect sets it.", `The server sets ${names.cookie} from your token: HttpOnly, SameSite=Strict, Path=${path}, for as long as the token lives.`];
    say(this.badge, state);
    this.badge.dataset.tone = tone;
    const beaten = user && comesFirst(this.panel.channel, "session", "cookie");
    say(this.text, beaten ? `${text} The server looks at the session first.` : text);
    switchOff(this.button, !ours || isBusy(this.panel.state));
  }

  #clear() {
    if (isOff(this.button)) return;
    this.panel.clearCookie(true);
  }
}
