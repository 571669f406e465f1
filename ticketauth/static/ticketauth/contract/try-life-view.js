/** When the open socket ends, what keeps it, and the button that renews it. */

import { conceal, el, isOff, isSecond, say, switchOff } from "./try-dom.js";
import { clock, explainRenewal, moment } from "./try-explain.js";
import { Wait } from "./try-wait.js";

const BUSY = { ticket: "Getting a ticket…", answer: "Renewing…" };

export class LifeView {
  /** @param {string} id Unique in the page. @param {import("./try-panel.js").Panel} panel */
  constructor(id, panel) {
    this.panel = panel;
    this.shown = null;
    this.label = el("span.try-label", {});
    this.when = el("span.try-when", {});
    this.why = el("p.try-hint", { id: `${id}-why` });
    this.button = el("button.button-quiet", { type: "button", "aria-describedby": this.why.id, onclick: (event) => this.#renew(event) }, "Renew");
    this.meter = el("progress", { max: "1", value: "0", "aria-hidden": "true" });
    this.notice = el("p.try-notice", {});
    this.result = el("p.try-result", {});
    this.wait = new Wait();
    this.element = el(
      "div.try-life",
      { hidden: true },
      el("div.try-row", {}, el("p", {}, this.label, this.when), this.button),
      this.meter,
      // What is counted down is not in here: a screen reader would say every second.
      el("div.try-spoken", { "aria-live": "polite" }, this.notice, this.result),
      this.wait.element,
      this.why,
    );
  }

  render() {
    const { life, channel, state, whyNoRenewal } = this.panel;
    conceal(this.element, state.name !== "open" || !channel.renews, this.panel.stopButton);
    if (this.element.hidden) return;
    switchOff(this.button, Boolean(whyNoRenewal || life.waitsFor));
    say(this.button, BUSY[life.waitsFor] ?? "Renew");
    say(this.why, whyNoRenewal);
    this.#tellResult(life.result);
    this.#count();
  }

  #count() {
    const { life } = this.panel;
    const { notice } = life;
    this.element.toggleAttribute("data-expiring", Boolean(notice));
    const renewed = life.result?.kind === "renewed";
    say(this.label, notice ? "Ends in" : renewed ? "Renewed until" : "Ends");
    say(this.when, notice ? clock(Math.max(0, notice.left)) : life.until ? moment(life.until) : "not before the server says so");
    say(this.notice, notice ? this.panel.page.words.endings[notice.reason] ?? "" : "");
    this.meter.hidden = !notice;
    if (notice) this.meter.value = Math.max(0, notice.left) / Math.max(1, notice.seconds);
    this.wait.tick();
  }

  #tellResult(result) {
    if (result === this.shown) return;
    this.shown = result;
    const words = result && explainRenewal(result, this.panel.around);
    // The line above shows when it ends, and is not spoken.
    this.result.className = words?.tone === "ok" ? "hidden" : "try-result";
    say(this.result, words?.text ?? "");
    this.wait.start(words?.retryAfter ?? 0);
  }

  #renew(event) {
    if (!isOff(this.button) && !isSecond(event)) this.panel.renew();
  }
}
