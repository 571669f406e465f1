/** "Try again in 12 s", counted down. */

import { el, say } from "./try-dom.js";
import { clock } from "./try-explain.js";

export class Wait {
  constructor() {
    this.until = 0;
    // Not announced: a screen reader would say every second.
    this.element = el("p.try-wait", { hidden: true });
  }

  /** @param {number} seconds 0 ends it. */
  start(seconds) {
    this.until = seconds ? performance.now() + seconds * 1000 : 0;
    this.tick();
  }

  tick() {
    const left = (this.until - performance.now()) / 1000;
    this.element.hidden = !this.until;
    if (this.until) say(this.element, left > 0 ? `Try again in ${clock(left)}.` : "You can try again now.");
  }
}
