/** Writes a message: JSON that is checked against its schema, raw text, or binary. */

import { choice, conceal, el, field, isSecond, say } from "./try-dom.js";
import { bytes } from "./try-explain.js";
import { Mistake, lineOf, parse } from "./try-json.js";
import { check } from "./try-schema.js";

const MOST_FAULTS = 20;

/** Milliseconds. */
const DOUBLE_CLICK = 500;

export class Composer {
  /**
   * @param {string} id Unique in the page.
   * @param {import("./try-document.js").Channel} channel
   * @param {object} root The document.
   * @param {(data: string | ArrayBuffer) => void} transmit
   */
  constructor(id, channel, root, transmit) {
    this.id = id;
    this.root = root;
    this.transmit = transmit;
    this.examples = channel.messages.flatMap((message) => message.examples.map((example) => ({ ...example, message })));
    this.opened = 0;
    this.mode = this.examples.length ? "message" : "text";
    this.element = this.#build();
    this.#enter(this.mode);
    this.offer(false);
  }

  /** @param {boolean} open Whether a message can be sent now. */
  offer(open) {
    if (open && !this.isOpen) this.opened = performance.now();
    this.isOpen = open;
    say(this.button, open ? "Send" : "Check");
    say(this.hint, open ? "Ctrl + Enter sends, too." : "Connect to send.");
    this.#offerAnyway();
  }

  #build() {
    const { id } = this;
    const modes = [
      ...(this.examples.length ? [{ value: "message", label: "Message" }] : []),
      { value: "text", label: "Raw text" },
      { value: "binary", label: "Binary" },
    ];
    this.modes = choice(`${id}-mode`, "Send", modes, (mode) => this.#enter(mode));
    this.select = el("select", { id: `${id}-message`, onchange: () => this.#fill() });
    this.examples.forEach(({ name, message }, index) => {
      const several = message.examples.length > 1 || (name && name !== message.title);
      this.select.append(el("option", { value: String(index) }, several ? `${message.title}: ${name || index + 1}` : message.title));
    });
    this.chooser = field("Example", this.select);
    this.encoding = el("select", { id: `${id}-encoding`, onchange: () => this.#recheck() });
    this.encoding.append(el("option", { value: "hex" }, "Hexadecimal"), el("option", { value: "base64" }, "Base64"));
    this.encoder = field("Written as", this.encoding);
    this.text = el("textarea", {
      id: `${id}-text`, rows: "5", spellcheck: "false", autocomplete: "off", autocapitalize: "off", translate: "no",
      oninput: () => this.#recheck(), onkeydown: (event) => this.#key(event),
    });
    this.label = el("label", { for: this.text.id });
    this.faults = el("ul.try-faults", { id: `${id}-faults` });
    this.verdict = el("p.try-verdict", { role: "status" });
    this.hint = el("span.try-hint", { id: `${id}-hint` });
    this.button = el("button.button", { type: "submit", "aria-describedby": this.hint.id, onclick: (event) => this.#isStray(event) && event.preventDefault() }, "Send");
    this.anyway = el("button.button-quiet", { type: "button", hidden: true, onclick: (event) => this.#sendAnyway(event) }, "Send it all the same");
    return el(
      "form.try-composer.form",
      { novalidate: true, onsubmit: (event) => this.#submit(event) },
      el("div.try-compose-head", {}, this.modes, this.chooser, this.encoder),
      el("div.try-field", {}, this.label, this.text),
      el("div.try-buttons", {}, this.button, this.anyway, this.hint, this.verdict),
      this.faults,
    );
  }

  #enter(mode) {
    this.mode = mode;
    this.modes.choose(mode);
    this.chooser.hidden = mode !== "message";
    this.encoder.hidden = mode !== "binary";
    say(this.label, { message: "JSON", text: "Text, sent as it is and not checked", binary: "Bytes" }[mode]);
    this.text.rows = mode === "message" ? 5 : 4;
    if (mode === "message") this.#fill();
    else this.text.value = mode === "binary" ? "" : this.text.value;
    this.#show([]);
  }

  #fill() {
    this.text.value = JSON.stringify(this.examples[this.select.value].payload, null, 2);
    this.text.rows = Math.min(18, Math.max(5, this.text.value.split("\n").length + 1));
    this.#show([]);
  }

  #key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.element.requestSubmit();
    }
  }

  #submit(event) {
    event.preventDefault();
    const { data, faults } = this.#read();
    this.#show(faults);
    if (faults.length) this.#select(faults[0].place);
    else if (this.isOpen) this.#send(data);
    else say(this.verdict, "It can be sent. Connect first.");
  }

  /** The second half of a double click on Connect, which has moved away from under it. */
  #isStray(event) {
    return isSecond(event) && performance.now() - this.opened < DOUBLE_CLICK;
  }

  /** What the server says of a mistake is worth seeing. */
  #sendAnyway(event) {
    const { data } = this.#read();
    if (!isSecond(event) && this.isOpen && data !== undefined) this.#send(data);
  }

  #offerAnyway() {
    const possible = this.isOpen && this.faults.children.length > 0 && this.#read().data !== undefined;
    conceal(this.anyway, !possible, this.button);
  }

  #send(data) {
    this.transmit(data);
    const size = typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
    say(this.verdict, "");
    requestAnimationFrame(() => say(this.verdict, `Sent, ${bytes(size)}.`));
  }

  #recheck() {
    if (this.faults.children.length) this.#show(this.#read().faults);
    else say(this.verdict, "");
  }

  /** @returns {{data?: string | ArrayBuffer, faults: {where: string, message: string, place: [number, number]}[]}} */
  #read() {
    const text = this.text.value;
    if (this.mode === "text") return { data: text, faults: [] };
    return this.mode === "binary" ? decode(text, this.encoding.value) : this.#checked(text);
  }

  #checked(text) {
    try {
      const { value, places } = parse(text);
      const faults = check(this.examples[this.select.value].message.schema, value, this.root);
      const placed = faults.map(({ pointer, key, message }) => ({
        where: pointer || "The message", message, place: places.get(key ? `${pointer}#` : pointer) ?? [0, 0],
      }));
      return { data: text, faults: placed };
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
      return { data: text, faults: [{ where: "Not JSON", message: error.message, place: error.place }] };
    }
  }

  #show(faults) {
    this.faults.replaceChildren(...faults.slice(0, MOST_FAULTS).map((fault) => this.#fault(fault)));
    if (faults.length) {
      this.text.setAttribute("aria-invalid", "true");
      this.text.setAttribute("aria-describedby", this.faults.id);
    } else {
      this.text.removeAttribute("aria-invalid");
      this.text.removeAttribute("aria-describedby");
    }
    say(this.verdict, faults.length ? `${this.isOpen ? "Not sent" : "Not to be sent"}: ${faults.length === 1 ? "one mistake" : `${faults.length} mistakes`}.` : "");
    this.#offerAnyway();
  }

  #fault({ where, message, place }) {
    const { line, column } = lineOf(this.text.value, place[0]);
    const link = el("button.try-jump", { type: "button", onclick: () => this.#select(place) }, `Line ${line}, column ${column}`);
    return el("li", {}, el("code", {}, where), ` ${message} `, link);
  }

  #select([start, end]) {
    this.text.focus();
    this.text.setSelectionRange(start, end);
    const height = this.text.scrollHeight / this.text.value.split("\n").length;
    this.text.scrollTop = Math.max(0, (lineOf(this.text.value, start).line - 3) * height);
  }
}

function decode(text, encoding) {
  const bare = text.replace(/\s+/g, "");
  const wrong = (message) => ({ faults: [{ where: "Not bytes", message, place: [0, text.length] }] });
  if (encoding === "base64") {
    try {
      return { data: Uint8Array.from(atob(bare.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0)).buffer, faults: [] };
    } catch {
      return wrong("This is not Base64.");
    }
  }
  if (!/^([\da-f]{2})*$/i.test(bare)) return wrong("Expected pairs of hexadecimal digits, such as 00 ff 10.");
  return { data: Uint8Array.from(bare.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)).buffer, faults: [] };
}
