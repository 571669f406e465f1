/** Shows the log: filter, pause, copy, save. */

import { el, say } from "./try-dom.js";
import { bytes } from "./try-explain.js";
import { Log, MOST_ENTRIES, matching, saved } from "./try-log.js";

const DIRECTIONS = { sent: ["↑", "Sent"], received: ["↓", "Received"], note: ["•", "Note"] };

export class LogView {
  /** @param {string} id Unique in the page. @param {() => object} about What a saved file says besides. */
  constructor(id, about) {
    this.about = about;
    this.log = new Log((entry, gone) => this.#added(entry, gone));
    this.wanted = { direction: "all", text: "" };
    this.paused = false;
    this.fresh = [];
    this.shown = new Map();
    this.flushing = 0;
    this.follows = true;
    this.element = this.#build(id);
    this.#render();
  }

  #build(id) {
    this.list = el("ol", {});
    this.frame = el("div.try-entries", { role: "log", "aria-label": "Messages, the newest last", tabindex: "0", onscroll: () => (this.follows = this.#isAtEnd()) }, this.list);
    new ResizeObserver(() => this.#follow()).observe(this.frame);
    this.empty = el("p.try-empty", {}, "");
    this.count = el("p.try-count", {});
    this.pause = el("button.button-quiet", { type: "button", "aria-pressed": "false", onclick: () => this.#toggle() }, "Pause");
    this.told = el("p.try-told", { role: "status" });
    const direction = el("select", { id: `${id}-direction`, onchange: (event) => this.#filter({ direction: event.target.value }) });
    for (const [value, label] of [["all", "All"], ["sent", "Sent"], ["received", "Received"], ["note", "Notes"]]) {
      direction.append(el("option", { value }, label));
    }
    const text = el("input", { id: `${id}-filter`, type: "search", placeholder: "Filter", autocomplete: "off", oninput: (event) => this.#filter({ text: event.target.value }) });
    const button = (label, onclick, name) => el("button.button-quiet", { type: "button", "aria-label": name, onclick }, label);
    return el(
      "section.try-log",
      { "aria-labelledby": `${id}-title` },
      el("div.try-log-head", {}, el("h4", { id: `${id}-title` }, "Log"), this.count, button("Clear", () => this.#clear())),
      this.frame,
      this.empty,
      el(
        "div.try-log-tools.form",
        {},
        el("div.try-field", {}, el("label.hidden", { for: direction.id }, "Show"), direction),
        el("div.try-field.try-grow", {}, el("label.hidden", { for: text.id }, "Filter by text"), text),
        this.pause,
        button("Copy", () => this.#copy()),
        button("Save", () => this.#save(), "Save as JSON"),
      ),
      this.told,
    );
  }

  #added(entry, gone) {
    if (gone) this.#remove(gone.id);
    this.fresh.push(entry);
    // A hidden page has no frames: what waits is bounded as the log is.
    if (this.fresh.length > MOST_ENTRIES) this.fresh.shift();
    this.flushing ||= requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.flushing = 0;
    if (!this.paused) this.#append(matching(this.fresh.splice(0), this.wanted));
    this.#summarise();
  }

  #append(entries) {
    for (const entry of entries) {
      const item = shown(entry);
      this.shown.set(entry.id, item);
      this.list.append(item);
    }
    this.#follow();
  }

  #isAtEnd() {
    return this.frame.scrollHeight - this.frame.scrollTop - this.frame.clientHeight < 40;
  }

  /** The newest stays in sight, unless the reader has scrolled up. */
  #follow() {
    if (this.follows) this.frame.scrollTop = this.frame.scrollHeight;
  }

  #remove(id) {
    this.shown.get(id)?.remove();
    this.shown.delete(id);
  }

  #filter(change) {
    Object.assign(this.wanted, change);
    this.#render();
  }

  #render() {
    const waiting = new Set(this.paused ? this.fresh : []);
    if (!this.paused) this.fresh = [];
    this.list.replaceChildren();
    this.shown.clear();
    this.#append(matching(this.log.entries, this.wanted).filter((entry) => !waiting.has(entry)));
    this.#summarise();
  }

  #summarise() {
    const all = this.log.entries.length;
    const parts = [`${all} of at most ${MOST_ENTRIES}`];
    if (this.shown.size !== all) parts.push(`${this.shown.size} shown`);
    if (this.paused) parts.push(`paused, ${this.fresh.length} new`);
    say(this.count, parts.join(" · "));
    this.empty.hidden = this.shown.size > 0;
    this.frame.hidden = this.shown.size === 0;
    say(this.empty, all ? "Nothing here matches the filter." : "What is sent and received appears here, without credentials.");
  }

  #toggle() {
    this.paused = !this.paused;
    this.pause.setAttribute("aria-pressed", String(this.paused));
    say(this.pause, this.paused ? "Resume" : "Pause");
    if (!this.paused) this.#append(matching(this.fresh.splice(0), this.wanted));
    this.#summarise();
  }

  #clear() {
    this.log.clear();
    this.fresh = [];
    this.#render();
    this.#tell("Cleared.");
  }

  #text() {
    const about = { exported: new Date().toISOString(), ...this.about() };
    return saved(matching(this.log.entries, this.wanted), about);
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#text());
      this.#tell("Copied as JSON.");
    } catch {
      this.#tell("The browser does not let this page copy. Save as JSON does the same.");
    }
  }

  #save() {
    const url = URL.createObjectURL(new Blob([this.#text()], { type: "application/json" }));
    const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    el("a", { href: url, download: `${this.about().channel}-${time}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
    this.#tell("Saved.");
  }

  #tell(text) {
    say(this.told, "");
    requestAnimationFrame(() => say(this.told, text));
  }
}

/** @param {import("./try-log.js").Entry} entry */
function shown({ time, direction, kind, size, text, cut }) {
  const [sign, word] = DIRECTIONS[direction];
  const local = new Date(time);
  const hour = `${local.toLocaleTimeString([], { hour12: false })}.${String(local.getMilliseconds()).padStart(3, "0")}`;
  const head = el(
    "p.try-entry-head",
    {},
    el("span.try-direction", {}, el("span", { "aria-hidden": "true" }, sign), ` ${word}`),
    el("time", { datetime: time }, hour),
    direction === "note" ? null : el("span.try-size", {}, `${kind}, ${bytes(size)}`),
  );
  const body = direction === "note" ? el("p.try-note", {}, text) : el("pre", { translate: "no" }, text);
  return el("li.try-entry", { "data-direction": direction }, head, body, cut ? el("p.try-cut", {}, `… ${cut} characters more`) : null);
}
