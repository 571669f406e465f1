/** The ticket that is held: masked, counted down, with its state. */

import { choice, el, say, switchOff } from "./try-dom.js";
import { channelOf } from "./try-document.js";
import { clock } from "./try-explain.js";
import { isBusy } from "./try-machine.js";

const STATES = {
  none: ["", "None yet. Connect takes one by itself."],
  fresh: ["ok", "Fresh"],
  used: ["", "Used. Connect takes a new one."],
  expired: ["warn", "Expired. Connect takes a new one."],
};

/** What the ticket endpoint takes; both, where the document does not say. */
function sourcesOf({ root, seen }) {
  const sources = [
    { value: "token", label: seen.token_url ? "User name and password" : "An access token", word: "jwt_header" },
    { value: "session", label: "My session in this browser", word: "session" },
  ];
  const words = root.channels.tickets ? channelOf(root, "tickets").schemes.map(({ word }) => word) : [];
  const taken = sources.filter(({ word }) => words.includes(word));
  return taken.length ? taken : sources;
}

export class TicketView {
  /** @param {string} id Unique in the page. @param {import("./try-panel.js").Panel} panel @param {() => void} get */
  constructor(id, panel, get) {
    this.panel = panel;
    const sources = sourcesOf(panel.page);
    this.taken = sources.map(({ value }) => value);
    this.hasChoice = sources.length > 1;
    this.source = sources.some(({ value }) => value === "session" && panel.page.seen.user) ? "session" : sources[0].value;
    this.sources = choice(`${id}-source`, "Get the ticket with", sources, (source) => this.#choose(source));
    this.sources.choose(this.source);
    this.value = el("code.try-ticket-value", { translate: "no" });
    this.badge = el("span.try-state", { role: "status" });
    this.rest = el("span.try-count", {});
    this.meter = el("progress", { max: "1", value: "0", "aria-hidden": "true" });
    this.button = el("button.button-quiet", { type: "button", onclick: get }, "Get ticket");
    const line = el("p", {}, el("span.try-label", {}, "Ticket"), this.value, this.badge, this.rest);
    this.element = el("div.try-ticket", {}, el("div.try-row", {}, line, this.button), this.meter);
  }

  /** @param {"token" | "session"} source @returns {boolean} Whether the ticket endpoint takes it. */
  mayAsk(source) {
    return this.taken.includes(source);
  }

  render() {
    this.sources.hidden = this.element.hidden || !this.hasChoice;
    switchOff(this.button, isBusy(this.panel.state));
    this.tick();
  }

  tick() {
    const { ticket } = this.panel;
    const state = ticket?.state ?? "none";
    const [tone, text] = STATES[state];
    say(this.value, ticket?.masked ?? "");
    say(this.badge, text);
    this.badge.dataset.tone = tone;
    say(this.rest, state === "fresh" ? clock(ticket.left) : "");
    this.meter.hidden = state !== "fresh";
    if (state === "fresh") this.meter.value = ticket.left / ticket.seconds;
  }

  #choose(source) {
    this.source = source;
    this.panel.forgetTicket();
  }
}
