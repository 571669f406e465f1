/**
 * One connection of the panel as a state machine: (state, event) -> state and effects. No DOM, no network, no clock.
 *
 * @typedef {"idle" | "getting" | "connecting" | "waiting" | "open" | "closing" | "closed"} Name
 *
 * @typedef {object} Outcome How an attempt ended.
 * @property {"refused" | "failed" | "closed" | "late" | "cancelled" | "dropped"} kind
 *   refused: no credential was given out; failed: no socket came of it; closed: the socket was closed;
 *   late: a time limit passed; cancelled: by the user, before there was a socket; dropped: by the user or a limit, after.
 * @property {Name} during The state in which it happened.
 * @property {"page" | "server"} [by] Who closed.
 * @property {number} [code] The close code.
 * @property {string} [reason] What came with it.
 * @property {object} [answer] What the server answered instead of a credential.
 *
 * @typedef {object} State
 * @property {Name} name
 * @property {number} attempt Counts up; what happens to an attempt that is over is ignored.
 * @property {boolean} connects While getting: whether a connection is what it is for.
 * @property {boolean} waits Whether the channel says that it is ready.
 * @property {Outcome | null} outcome
 *
 * @typedef {{type: "get" | "open" | "close" | "drop" | "abort"}} Effect
 */

/** Milliseconds that a state may last. The others last as long as they like. */
export const LIMITS = { getting: 10_000, connecting: 10_000, waiting: 5_000, closing: 3_000 };

/** @type {State} */
export const START = { name: "idle", attempt: 0, connects: false, waits: false, outcome: null };

const RESTING = ["idle", "closed"];

/**
 * @param {State} state
 * @param {object} event `attempt` is there where something outside has happened.
 * @returns {{state: State, effects: Effect[]}}
 */
export function next(state, event) {
  const handle = EVENTS[event.type];
  const stale = event.attempt !== undefined && event.attempt !== state.attempt;
  return (!stale && handle(state, event)) || { state, effects: [] };
}

/** The socket is there, or on its way to being there or gone. */
export const isBusy = (state) => !RESTING.includes(state.name);

const EVENTS = {
  /** The user wants a credential, and nothing else yet. */
  get(state) {
    return isBusy(state) ? null : begin(state, { name: "getting", connects: false }, "get");
  },

  /** The user wants a connection. `needs`: a credential has to be had first. */
  connect(state, { needs, waits }) {
    if (isBusy(state)) return null;
    return needs
      ? begin(state, { name: "getting", connects: true, waits }, "get")
      : begin(state, { name: "connecting", waits }, "open");
  },

  got(state) {
    if (state.name !== "getting") return null;
    return state.connects ? go(state, "connecting", "open") : go(state, "idle");
  },

  refused(state, { answer }) {
    return state.name === "getting" ? end(state, { kind: "refused", answer }) : null;
  },

  opened(state) {
    return state.name === "connecting" ? go(state, state.waits ? "waiting" : "open") : null;
  },

  ready(state) {
    return state.name === "waiting" ? go(state, "open") : null;
  },

  ended(state, { code, reason }) {
    if (state.name === "connecting") return end(state, { kind: "failed", code, reason });
    if (state.name === "closing") return end(state, state.outcome ?? { kind: "closed", by: "page", code, reason });
    return isBusy(state) ? end(state, { kind: "closed", by: "server", code, reason }) : null;
  },

  /** The user wants out, which every state that is not at rest allows. */
  stop(state) {
    return {
      getting: () => end(state, { kind: "cancelled" }, "abort"),
      connecting: () => end(state, { kind: "cancelled" }, "drop"),
      waiting: () => go(state, "closing", "close"),
      open: () => go(state, "closing", "close"),
      closing: () => end(state, { kind: "dropped" }, "drop"),
    }[state.name]?.();
  },

  /** The state has lasted longer than its limit. */
  late(state) {
    return {
      getting: () => end(state, { kind: "late" }, "abort"),
      connecting: () => end(state, { kind: "late" }, "drop"),
      waiting: () => go({ ...state, outcome: { kind: "late", during: "waiting" } }, "closing", "close"),
      closing: () => end(state, state.outcome ?? { kind: "dropped" }, "drop"),
    }[state.name]?.();
  },

  /** Another method was chosen, or the page goes away. */
  reset(state) {
    const effects = state.name === "getting" ? ["abort"] : isBusy(state) ? ["drop"] : [];
    return begin(state, { name: "idle" }, ...effects);
  },
};

function begin(state, changes, ...effects) {
  return { state: { ...START, attempt: state.attempt + 1, ...changes }, effects: effects.map((type) => ({ type })) };
}

function go(state, name, ...effects) {
  return { state: { ...state, name }, effects: effects.map((type) => ({ type })) };
}

function end(state, outcome, ...effects) {
  return go({ ...state, outcome: { during: state.name, ...outcome } }, "closed", ...effects);
}
