/** Carries out what the state machine decides: asks for the credential, opens and closes the socket, keeps the limits. */

import { READY, SUBPROTOCOL, frameOf } from "./try-frames.js";
import { LIMITS, START, next } from "./try-machine.js";

const NORMAL = 1000;

export class Connection {
  /**
   * @param {object} does
   * @param {(signal: AbortSignal) => Promise<{ok: boolean}>} does.get Gets the credential that the method needs.
   * @param {() => {url: string, protocols: string[]}} does.target Where to connect to; called once per attempt.
   * @param {(state: import("./try-machine.js").State) => void} does.changed
   * @param {(data: string | ArrayBuffer, frame: {type: string} | null) => void} does.received `frame`: where it is the library's.
   */
  constructor(does) {
    this.does = does;
    this.state = START;
    this.socket = null;
    this.asking = null;
    this.limit = 0;
  }

  /** Whether the server has selected the subprotocol, and so speaks of the end. */
  get speaks() {
    return this.socket?.protocol === SUBPROTOCOL;
  }

  /** @param {object} event */
  send(event) {
    const before = this.state;
    const { state, effects } = next(before, event);
    if (state === before) return;
    this.state = state;
    clearTimeout(this.limit);
    if (state.name in LIMITS) this.limit = setTimeout(() => this.tell("late", state.attempt), LIMITS[state.name]);
    for (const { type } of effects) this[type](state.attempt);
    this.does.changed(this.state, before);
  }

  /** Something has happened to an attempt. */
  tell(type, attempt, more = {}) {
    this.send({ type, attempt, ...more });
  }

  /** @param {string | ArrayBuffer} data */
  transmit(data) {
    this.socket.send(data);
  }

  async get(attempt) {
    this.asking = new AbortController();
    const answer = await this.does.get(this.asking.signal);
    if (answer.ok) this.tell("got", attempt);
    else this.tell("refused", attempt, { answer });
  }

  abort() {
    this.asking.abort();
  }

  open(attempt) {
    const { url, protocols } = this.does.target();
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.tell("opened", attempt);
    socket.onclose = ({ code, reason }) => this.tell("ended", attempt, { code, reason });
    socket.onmessage = ({ data }) => {
      const frame = frameOf(data);
      this.does.received(data, frame);
      if (frame?.type === READY) this.tell("ready", attempt);
    };
    this.socket = socket;
  }

  close() {
    this.socket.close(NORMAL);
  }

  /** Let go of a socket, whatever becomes of it. */
  drop() {
    const socket = this.socket;
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close(NORMAL);
  }
}
