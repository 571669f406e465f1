/** Elements without markup in strings: the page's policy allows no other way. */

/**
 * @param {string} name Of the element; `name.class` gives it a class.
 * @param {object} given Attributes; `onclick` and its like are listeners; false and null are left out.
 * @param {...(Node | string | null)} children
 */
export function el(name, given = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Change a text only where it differs, so that a screen reader does not say it again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Hide an element, and pass the focus on if it was in there. */
export function conceal(element, hidden, heir) {
  if (hidden && element.contains(document.activeElement)) heir.focus();
  element.hidden = hidden;
}

/** Unlike `disabled`, this does not take the focus away. Whoever listens to the click asks `isOff`. */
export function switchOff(button, off) {
  if (off) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
}

export const isOff = (button) => button.getAttribute("aria-disabled") === "true";

/** The second click of a double click. */
export const isSecond = (event) => event.detail > 1;

/**
 * A group of radio buttons that looks like one switch.
 *
 * @param {string} id Unique in the page.
 * @param {string} legend
 * @param {{value: string, label: string, code?: string, off?: boolean, describedby?: string}[]} choices
 * @param {(value: string) => void} chosen
 */
export function choice(id, legend, choices, chosen) {
  const buttons = choices.map(({ value, label, code, off, describedby }) => {
    const input = el("input", {
      type: "radio", name: id, id: `${id}-${value}`, value, disabled: Boolean(off), "aria-describedby": describedby,
      onchange: () => chosen(value),
    });
    return el("label.try-choice", { for: input.id }, input, el("span", {}, label, code ? el("code", {}, code) : null));
  });
  const group = el("fieldset.try-choices", {}, el("legend", {}, legend), el("div.try-segments", {}, ...buttons));
  group.choose = (value) => {
    group.querySelector(`#${CSS.escape(`${id}-${value}`)}`).checked = true;
  };
  return group;
}

/** A labelled control, with a place for what is wrong with it. */
export function field(label, control, hint = null) {
  const problem = el("p.try-problem", { id: `${control.id}-problem`, hidden: true });
  const wrapper = el("div.try-field", {}, el("label", { for: control.id }, label), control, hint, problem);
  wrapper.control = control;
  wrapper.complain = (text) => {
    say(problem, text);
    problem.hidden = !text;
    if (text) {
      control.setAttribute("aria-invalid", "true");
      control.setAttribute("aria-describedby", problem.id);
    } else {
      control.removeAttribute("aria-invalid");
      control.removeAttribute("aria-describedby");
    }
  };
  return wrapper;
}
