/** The life of one socket: when it ends, as the server says, and whether a renewal is under way. No DOM, no network. */

import { ERROR, EXPIRING, READY, RENEWED } from "./try-frames.js";

/** Seconds that the answer to a renewal may take. */
const PATIENCE = 10;

/** Seconds after an announced end. A socket that is open still lives on: its login was refreshed meanwhile. */
const OUTLIVED = 5;

/** Seconds around an announced end within which a close is that end. */
const CLOSE_BY = 3;

/**
 * @typedef {object} Result Of a renewal.
 * @property {"renewed" | "refused" | "unanswered"} kind
 * @property {object} [frame] What the server said.
 * @property {import("./try-server.js").Answer} [answer] What it said instead of giving out a ticket.
 */

export class Life {
  /** @param {() => number} now Milliseconds. */
  constructor(now = () => performance.now()) {
    this.now = now;
    this.begun = now();
    /** Whether the server has sent anything. Before a refusal it sends nothing. */
    this.isSpokenTo = false;
    /** RFC 3339, by the server's clock; null: nothing says so; undefined: nobody has told yet. */
    this.until = undefined;
    /** Seconds over which clients come back after a restart; 0 where nobody has told. */
    this.reconnectWithin = 0;
    this.announced = new Map();
    /** @type {"" | "ticket" | "answer"} What a renewal waits for. */
    this.waitsFor = "";
    /** @type {Result | null} Of the last renewal. */
    this.result = null;
    this.asked = 0;
  }

  /** Seconds. */
  get age() {
    return (this.now() - this.begun) / 1000;
  }

  /** @returns {{reason: string, seconds: number, left: number} | null} The announced end that comes first. */
  get notice() {
    const now = this.now();
    const all = [...this.announced].map(([reason, { seconds, at }]) => ({ reason, seconds, left: (at - now) / 1000 }));
    return all.filter(({ left }) => left > -OUTLIVED).sort((one, other) => one.left - other.left)[0] ?? null;
  }

  /** Why it ends, where it ends now; "" where nobody has announced that. */
  get ending() {
    const { notice } = this;
    return notice && notice.left < CLOSE_BY ? notice.reason : "";
  }

  /** @param {{type: string}} frame */
  hear(frame) {
    HEARD[frame.type]?.(this, frame);
  }

  /** The client has sent something: it is not idle any more. */
  speak() {
    this.announced.delete("idle");
  }

  /** @returns {boolean} Whether a renewal begins; not while another is under way. */
  begin() {
    if (this.waitsFor) return false;
    this.waitsFor = "ticket";
    this.result = null;
    return true;
  }

  /** The ticket is on its way. */
  sent() {
    this.waitsFor = "answer";
    this.asked = this.now();
  }

  /** @param {Result | null} result Null: it was not tried. */
  end(result) {
    this.waitsFor = "";
    this.result = result;
  }

  tick() {
    if (this.waitsFor === "answer" && this.now() - this.asked > PATIENCE * 1000) this.end({ kind: "unanswered" });
  }
}

const HEARD = {
  [READY](life, { expires_at: until, reconnect_within: within }) {
    life.until = until ?? null;
    life.reconnectWithin = Number(within) || 0;
  },

  [EXPIRING](life, { reason, expires_in: seconds }) {
    if (Number.isFinite(seconds)) life.announced.set(String(reason), { seconds, at: life.now() + seconds * 1000 });
  },

  [RENEWED](life, frame) {
    life.announced.delete("credential");
    life.until = frame.expires_at ?? null;
    life.end({ kind: "renewed", frame });
  },

  [ERROR](life, frame) {
    life.end({ kind: "refused", frame });
  },
};
