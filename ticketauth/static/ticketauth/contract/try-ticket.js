/** One ticket, and what has become of it. The clock is the page's own: a ticket lives from when it was asked for. */

/** Seconds that must be left for a ticket to be worth connecting with. */
const LEAST = 1;

export class Ticket {
  /**
   * @param {string} value
   * @param {string} path The only one that it opens.
   * @param {number} seconds That it lives.
   * @param {number} asked When, by `now`, in milliseconds.
   * @param {() => number} now
   */
  constructor(value, path, seconds, asked, now = () => performance.now()) {
    this.value = value;
    this.path = path;
    this.seconds = seconds;
    this.asked = asked;
    this.now = now;
    this.used = false;
  }

  /** Enough to tell two apart. */
  get masked() {
    return `${this.value.slice(0, 4)}••••-••••-••••`;
  }

  /** Seconds. */
  get left() {
    return Math.max(0, this.seconds - (this.now() - this.asked) / 1000);
  }

  /** @returns {"fresh" | "used" | "expired"} */
  get state() {
    if (this.used) return "used";
    return this.left > 0 ? "fresh" : "expired";
  }

  opens(path) {
    return this.state === "fresh" && this.left > LEAST && this.path === path;
  }

  /** For the one handshake. Nobody gets it a second time. */
  spend() {
    const value = this.used ? "" : this.value;
    this.used = true;
    return value;
  }
}
