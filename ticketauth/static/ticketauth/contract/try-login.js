/** The access token, for all panels of the page: in this module's memory, and nowhere else. It goes with the page. */

import { learn } from "./try-secrets.js";

const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;
const listeners = new Set();
let held = null;

/**
 * @typedef {object} Held
 * @property {string} token
 * @property {string} name Whose it is, as far as that is known.
 * @property {number | null} ends When, in milliseconds of this page's clock; null where the token does not say.
 */

/** @returns {Held | null} */
export const login = () => held;

/** @param {() => void} listener Called at every change. */
export const onLogin = (listener) => listeners.add(listener);

/** @param {string} token @param {string} name */
export function keep(token, name) {
  learn(token);
  const { exp, iat } = claims(token);
  // From `iat`, where there is one: the clocks of server and browser may differ.
  const seconds = exp - (iat ?? Date.now() / 1000);
  held = { token, name, ends: Number.isFinite(seconds) ? Date.now() + seconds * 1000 : null };
  tell();
}

/** @param {string} token @returns {string} What is wrong with it, or "". */
export function keepPasted(token) {
  const bare = token.trim().replace(/^Bearer\s+/i, "");
  if (!JWT.test(bare)) return "This is not a JWT: three parts with dots between them.";
  const { exp, sub, user_id: id } = claims(bare);
  learn(bare);
  if (Number.isFinite(exp) && exp * 1000 <= Date.now()) return "This token has expired.";
  const name = sub ?? id;
  held = { token: bare, name: name === undefined ? "" : `subject ${name}`, ends: Number.isFinite(exp) ? exp * 1000 : null };
  tell();
  return "";
}

export function forget() {
  held = null;
  tell();
}

/** Seconds that the token has left; null where nobody knows. */
export const left = () => (held === null || held.ends === null ? null : Math.max(0, (held.ends - Date.now()) / 1000));

/**
 * @param {Held | null} one
 * @param {Held | null} other
 * @returns {boolean} Whether they are of one login, as far as tokens say. The server looks at the same at a renewal.
 */
export const isSameLogin = (one, other) => loginOf(one) === loginOf(other);

function loginOf(one) {
  const { iss, sub, user_id: id, sid } = claims(one?.token);
  return JSON.stringify([iss, sub, id, sid]);
}

function tell() {
  for (const listener of listeners) listener();
}

/** Not verified: good for showing, and for nothing else. */
function claims(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}
