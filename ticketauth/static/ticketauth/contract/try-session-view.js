/** Who is logged in by session. The panel looks, and changes nothing. */

import { conceal, el, say } from "./try-dom.js";
import { comesFirst } from "./try-methods.js";
import { returningTo } from "./try-return.js";

export class SessionView {
  /** @param {import("./try-panel.js").Panel} panel */
  constructor(panel) {
    this.panel = panel;
    this.who = el("span", {});
    this.link = el("a.button-quiet", {}, "Log in");
    this.other = el("p.try-hint", {});
    this.element = el("div.try-session", {}, el("div.try-row", {}, el("p", { role: "status" }, this.who), this.link), this.other);
  }

  render() {
    const { user, login_url: url } = this.panel.page.seen;
    say(this.who, user ? `Logged in by session as ${user}.` : "Nobody is logged in by session.");
    conceal(this.link, Boolean(user) || !url, this.panel.connectButton);
    if (url) this.#lead(url);
    const hint = this.#hint();
    this.other.hidden = !hint;
    say(this.other, hint);
  }

  #lead(url) {
    const there = new URL(url, location.href);
    there.searchParams.set("next", `${location.pathname}${returningTo(`try-${this.panel.channel.id}`, this.panel.method)}`);
    this.link.href = there.href;
  }

  #hint() {
    const { user, login_url: url, names, cookie } = this.panel.page.seen;
    const beaten = this.panel.method === "session" && cookie?.sent && comesFirst(this.panel.channel, "cookie", "session");
    if (beaten) return `The browser also sends ${names.cookie}, which the server looks at first.`;
    return user || url ? "" : "Log in where this project has its login. LOGIN_URL names the page; there is none at the address that it has now.";
  }
}
