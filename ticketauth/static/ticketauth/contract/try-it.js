/** The entry: turns each place for a panel into one, when it is about to be seen. */

import { el, say } from "./try-dom.js";
import { explain } from "./try-explain.js";
import { Page } from "./try-page.js";
import { Panel } from "./try-panel.js";

const hosts = [...document.querySelectorAll("[data-try-channel]")];
const { document: contract, state, cookie } = hosts[0]?.dataset ?? {};
const page = new Page({ document: contract, state, cookie });
let beginning = null;

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
  const panel = new Panel(host.dataset.tryChannel, page);
  page.panels.push(panel);
  told.replaceWith(panel.element);
  if (retried) panel.connectButton.focus();
}

function failed(host, told, answer, retried) {
  const { title } = explain({ kind: "refused", during: "getting", answer }, { closes: {} });
  const again = el("button.button-quiet", { type: "button", onclick: () => mount(host, told) }, "Try again");
  told.replaceChildren(`${title}. `, again);
  if (retried) again.focus();
}

function prepare(host) {
  const told = host.querySelector(".try-without");
  told.setAttribute("role", "status");
  const watching = new IntersectionObserver(
    ([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      watching.disconnect();
      mount(host, told);
    },
    { rootMargin: "600px" },
  );
  watching.observe(host);
}

for (const host of hosts) prepare(host);

addEventListener("pagehide", () => page.leave());
addEventListener("pageshow", ({ persisted }) => persisted && page.seen && page.refresh());
addEventListener("focus", () => page.seen && page.refresh());
