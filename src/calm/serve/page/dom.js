/** Elements, made in one call. */

const SVG = "http://www.w3.org/2000/svg";

/** @returns the first element that fits the selector. */
export const find = (selector, root = document) => root.querySelector(selector);

/**
 * An HTML element.
 * @param {string} name its tag and classes: "div.card.large"
 * @param {object} given attributes; a function is a listener of the event of that name
 * @param {...(Node|string|null)} children
 */
export const h = (name, given = {}, ...children) => build((tag) => document.createElement(tag), name, given, children);

/** An SVG element, as {@link h}. */
export const svg = (name, given = {}, ...children) =>
  build((tag) => document.createElementNS(SVG, tag), name, given, children);

function build(create, name, given, children) {
  const [tag, ...classes] = name.split(".");
  const element = create(tag);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(given)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Tell something, on the screen and to screen readers. */
export function tell(text) {
  const place = find("#message");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(place.timer);
  place.timer = setTimeout(() => place.classList.remove("shown"), 5000);
}
