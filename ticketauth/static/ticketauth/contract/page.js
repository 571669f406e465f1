/* What the page can do beyond being read: copy, follow the scroll, show one snippet of many.

   Without this file everything is there. Nothing is stored, and no text becomes HTML. */

"use strict";

(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const say = (() => {
    const status = element("p", { className: "hidden" });
    status.setAttribute("role", "status");
    document.body.append(status);
    return (text) => {
      status.textContent = "";
      requestAnimationFrame(() => (status.textContent = text));
    };
  })();

  // --- Copy

  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    // Over plain HTTP, from another machine, browsers have no `navigator.clipboard`.
    const field = element("textarea", { value: text, className: "hidden" });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  };

  const copyButton = (pre) => {
    const button = element("button", { className: "copy", type: "button", textContent: "Copy" });
    let calm;
    button.addEventListener("click", async () => {
      const done = await copy(pre.textContent).then(() => "Copied", () => "Not copied");
      button.textContent = done;
      say(done);
      clearTimeout(calm);
      calm = setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    return button;
  };

  const addCopyButtons = () => {
    for (const pre of all("main .prose pre")) {
      const code = element("div", { className: "code" });
      pre.replaceWith(code);
      code.append(pre);
    }
    for (const pre of all("main .code > pre")) pre.before(copyButton(pre));
    for (const anchor of all(".anchor")) {
      anchor.addEventListener("click", () => copy(anchor.href).then(() => say("Link copied"), () => {}));
    }
  };

  // --- What scrolls by itself can be reached by keyboard; what does not is no stop on the way

  const watchScrollers = () => {
    const observer = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        if (target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight) target.tabIndex = 0;
        else target.removeAttribute("tabindex");
      }
    });
    for (const scroller of all("main .scrolls, main pre")) observer.observe(scroller);
  };

  // --- The menu

  const followTheScroll = () => {
    const links = new Map();
    for (const link of all('#menu a[href^="#"]')) {
      const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
      if (target) links.set(target, link);
    }
    const targets = [...links.keys()];
    let current;

    const update = () => {
      const line = innerHeight / 4;
      const top = (target) => target.getBoundingClientRect().top;
      const above = targets.filter((target) => top(target) <= line);
      // Of cards side by side, the first.
      const last = above.find((target) => Math.abs(top(target) - top(above.at(-1))) < 1) ?? targets[0];
      const atTheEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
      const next = links.get(atTheEnd ? targets.at(-1) : last);
      if (next === current) return;
      current?.removeAttribute("aria-current");
      next.setAttribute("aria-current", "true");
      current = next;
      keepInSight(next);
    };

    const observer = new IntersectionObserver(update, { rootMargin: "0px 0px -75% 0px" });
    for (const target of targets) observer.observe(target);
    new IntersectionObserver(update, { threshold: [0, 1] }).observe(document.querySelector(".foot"));
  };

  const keepInSight = (link) => {
    const menu = document.getElementById("menu");
    const [inner, outer] = [link.getBoundingClientRect(), menu.getBoundingClientRect()];
    if (inner.top < outer.top) menu.scrollTop -= outer.top - inner.top + 24;
    if (inner.bottom > outer.bottom) menu.scrollTop += inner.bottom - outer.bottom + 24;
  };

  const foldMenu = () => {
    const [side, button, menu] = [".side", ".menu-button", "#menu"].map((name) => document.querySelector(name));
    const fold = (open) => {
      side.classList.toggle("open", open);
      button.setAttribute("aria-expanded", String(open));
    };
    button.hidden = false;
    button.addEventListener("click", () => fold(!side.classList.contains("open")));
    menu.addEventListener("click", ({ target }) => target.closest("a") && fold(false));
    side.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || !side.classList.contains("open")) return;
      fold(false);
      button.focus();
    });
  };

  // --- Snippets: one credential per channel, one language for the page (as far as each has it), both until it is left

  const tablists = [];

  const pick = (tabs, label) => {
    for (const { tab, panel } of tabs) {
      const selected = tab.textContent === label;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      panel.hidden = !selected;
    }
  };

  const showLanguage = (label) => {
    for (const tabs of tablists) if (tabs.some(({ tab }) => tab.textContent === label)) pick(tabs, label);
  };

  const turnIntoTabs = (languages) => {
    const list = element("div");
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "Language");
    const tabs = all(".snippet", languages).map((panel, index) => {
      const name = `tab-${tablists.length}-${index}`;
      const tab = element("button", { type: "button", id: name, textContent: panel.querySelector("h4").textContent });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", `${name}-panel`);
      panel.id = `${name}-panel`;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", name);
      tab.addEventListener("click", () => showLanguage(tab.textContent));
      list.append(tab);
      return { tab, panel };
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const [here, last] = [tabs.findIndex(({ tab }) => tab === document.activeElement), tabs.length - 1];
      const there = Number.isFinite(step) ? (here + step + tabs.length) % tabs.length : step < 0 ? 0 : last;
      showLanguage(tabs[there].tab.textContent);
      tabs[there].tab.focus();
    });
    tabs[0].panel.before(list);
    tablists.push(tabs);
    pick(tabs, tabs[0].tab.textContent);
  };

  const turnIntoSelect = (choices) => {
    const options = all(".choice", choices);
    const select = element("select", { className: "form-select" });
    for (const choice of options) {
      choice.open = true;
      const { textContent, firstChild } = choice.querySelector("summary");
      select.append(element("option", { textContent, value: firstChild.textContent.trim() }));
    }
    const show = () => options.forEach((choice, index) => (choice.hidden = index !== select.selectedIndex));
    select.addEventListener("change", show);
    show();
    const label = element("label", {}, `${choices.dataset.label} `, select);
    choices.prepend(element("div", { className: "scheme-choice form" }, label));
  };

  document.documentElement.classList.add("js");
  addCopyButtons();
  for (const choices of all(".choices")) turnIntoSelect(choices);
  for (const languages of all(".choice, .languages")) turnIntoTabs(languages);
  watchScrollers();
  foldMenu();
  followTheScroll();
  // The place that the address names has moved: above it, many snippets became one.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
})();
