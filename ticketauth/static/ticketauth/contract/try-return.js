/** The way to a login and back, with the method that was chosen. It travels in the fragment, which no server sees. */

/** @param {string} host The panel's place. @param {string} method @returns {string} A fragment. */
export const returningTo = (host, method) => `#${host}:${method}`;

/** @param {string} fragment @returns {{host: string, method: string}} Both are "" where it is no return. */
export function comingBack(fragment) {
  const [, host = "", method = ""] = /^#(try-[^:]+):([a-z]+)$/.exec(fragment) ?? [];
  return document.getElementById(host)?.dataset.tryChannel ? { host, method } : { host: "", method: "" };
}
