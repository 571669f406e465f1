/** The entry: turns each place for a panel into one. */

import { el, say } from "./try-dom.js";
import { explain } from "./try-explain.js";
import { Page } from "./try-page.js";
import { Panel } from "./try-panel.js";
import { comingBack } from "./try-return.js";

const hosts = [...document.querySelectorAll("[data-try-channel]")];
const { document: contract, state, cookie } = hosts[0]?.dataset ?? {};
const words = JSON.parse(document.body.dataset.words);
const page = new Page({ document: contract, state, cookie }, words);
const back = comingBack(location.hash);
let beginning = null;
let hasMoved = false;

/** Ask for the document and the state once, however many panels there are. */
function begin() {
  beginning ??= page.begin().then((answer) => {
    if (!answer.ok) beginning = null;
    return answer;
  });
  return beginning;
}

async function mount(host, told) {
  const retried = host.contains(document.activeElement);
  say(told, "Loading…");
  const answer = await begin();
  if (!answer.ok) return failed(host, told, answer, retried);
  const panel = new Panel(host.dataset.tryChannel, page, back.host === host.id ? back.method : "");
  page.panels.push(panel);
  told.replaceWith(panel.element);
  if (retried) panel.connectButton.focus();
}

function failed(host, told, answer, retried) {
  const { title } = explain({ kind: "refused", during: "getting", answer }, { closes: {}, advice: words.advice });
  const again = el("button.button-quiet", { type: "button", onclick: () => mount(host, told) }, "Try again");
  told.replaceChildren(`${title}. `, again);
  if (retried) again.focus();
}

function prepare(host) {
  const told = host.querySelector(".try-without");
  told.setAttribute("role", "status");
  return mount(host, told);
}

/** The place that the address names has moved: above it, panels have grown. Not where the reader has gone on since. */
function keepPlace() {
  if (location.hash && !hasMoved) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView({ behavior: "instant" });
}

for (const type of ["wheel", "touchmove", "keydown"]) addEventListener(type, () => (hasMoved = true), { passive: true });
addEventListener("hashchange", () => (hasMoved = false));
if (back.host) history.replaceState(null, "", `#${document.getElementById(back.host).parentElement.id}`);
// All of them, and before anybody goes to one: what is built on the way would move the goal.
Promise.all(hosts.map(prepare)).then(keepPlace);

addEventListener("pagehide", () => page.leave());
addEventListener("pageshow", ({ persisted }) => persisted && page.seen && page.refresh());
addEventListener("focus", () => page.seen && page.refresh());
