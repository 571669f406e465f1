/** The words of `ticketauth.v1`, and its frames. No DOM. */

/** Offered by a client that understands the frames and the close codes. */
export const SUBPROTOCOL = "ticketauth.v1";

/** What the `type` of a frame of the library begins with; all others are the application's. */
export const FRAMES = "ticketauth.";

export const READY = "ticketauth.ready";
export const EXPIRING = "ticketauth.expiring";
export const RENEW = "ticketauth.renew";
export const RENEWED = "ticketauth.renewed";
export const ERROR = "ticketauth.error";

/** @param {string | ArrayBuffer} data @returns {{type: string} | null} The frame that a message is, if it is the library's. */
export function frameOf(data) {
  if (typeof data !== "string" || !data.includes(FRAMES)) return null;
  try {
    const frame = JSON.parse(data);
    return typeof frame?.type === "string" && frame.type.startsWith(FRAMES) ? frame : null;
  } catch {
    return null;
  }
}
