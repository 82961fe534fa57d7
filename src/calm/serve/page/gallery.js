/** All photos, best first; they find their places while they are scored. */

import { find, h } from "./dom.js";
import { session } from "./session.js";

const ORDERS = [
  ["score", "Best first"],
  ["taste", "By your taste"],
  ["name", "By name"],
];
const MOST_COMPARED = 4;
const PAUSE = 150; // milliseconds

/** @param {HTMLElement} main where the view goes @param {AbortSignal} signal ends it */
export function show(main, signal) {
  if (!session.photos.length) {
    main.replaceChildren(welcome());
    session.addEventListener("added", () => show(main, signal), { once: true, signal });
    return;
  }
  const tiles = new Map();
  let order = session.ordered;
  const list = h("ul.gallery", { keydown: (event) => moveFocus(event, list) });
  main.replaceChildren(toolbar(), list);

  const add = (photo) => {
    const tile = new Tile(photo);
    tiles.set(photo, tile);
    list.append(tile.element);
  };
  order.forEach(add);
  session.on(
    "added",
    (photos) => {
      photos.forEach(add);
      order.push(...photos);
    },
    signal,
  );
  const renew = (photo) => {
    const tile = tiles.get(photo);
    tile.update();
    if (photo.state !== tile.placed) place(tile, list, order, tiles);
    tile.placed = photo.state;
  };
  session.on("changed", together(renew, signal), signal);
  session.on("chosen", () => tiles.forEach((tile) => tile.update()), signal);
  session.on(
    "ordered",
    () => {
      order = session.ordered;
      list.append(...order.map((photo) => tiles.get(photo).element));
    },
    signal,
  );
}

/** Photos are renewed together, a few times a second: each time all tiles find their places anew. */
function together(renew, signal) {
  const changed = new Set();
  const all = () => {
    if (!signal.aborted) changed.forEach(renew);
    changed.clear();
  };
  return (photo) => {
    if (!changed.size) setTimeout(all, PAUSE);
    changed.add(photo);
  };
}

function welcome() {
  return h(
    "section.welcome",
    {},
    h("h1", {}, "What makes a photo work?"),
    h("p", {}, "Drop photos or a folder here. Each gets a score, a comment, and suggestions that you can try."),
    h(
      "p.buttons",
      {},
      h("button.primary", { type: "button", click: () => find("#files").click() }, "Choose photos"),
      h("button", { type: "button", click: () => find("#folder").click() }, "Choose a folder"),
    ),
    h("p.small", {}, "Photos stay in this page and go to this server alone, which keeps none of them."),
  );
}

function toolbar() {
  const select = h(
    "select",
    { id: "order", change: () => session.orderBy(select.value) },
    ORDERS.map(([value, text]) =>
      h("option", { value, selected: value === session.order, disabled: value === "taste" && !knowsTaste() }, text),
    ),
  );
  return h(
    "div.heading",
    {},
    h("h1", {}, "Gallery"),
    h("label", { for: "order" }, "Order"),
    select,
  );
}

const knowsTaste = () => session.photos.some((photo) => photo.own !== undefined);

/** One photo of the gallery. */
class Tile {
  constructor(photo) {
    this.photo = photo;
    this.picture = h("img", { alt: "", loading: "lazy", decoding: "async" });
    this.badge = h("span.badge");
    this.link = h("a", { href: `#/photo/${photo.id}` }, this.picture, this.badge, h("span.name", {}, photo.title));
    this.box = h("input", {
      type: "checkbox",
      "aria-label": `Compare ${photo.name}`,
      title: "Compare (X)",
      change: () => choose(photo, this.box),
    });
    this.element = h("li.tile", {}, this.link, this.box);
    this.element.photo = photo;
    this.update();
  }

  update() {
    const { photo } = this;
    if (photo.thumbnail && !this.picture.src) this.picture.src = photo.thumbnail;
    // rows are filled without cutting a photo: a tile is as wide as the photo's shape asks for
    const shape = photo.shape ?? (photo.row && photo.row.width / photo.row.height);
    if (shape) this.element.style.setProperty("--shape", shape);
    const failed = photo.state === "failed" || photo.state === "cancelled";
    this.element.dataset.state = photo.state;
    this.element.title = photo.error ?? "";
    this.badge.textContent = failed ? photo.state : (session.scoreOf(photo) || photo.row?.score)?.toFixed(2) ?? "";
    this.link.setAttribute("aria-label", label(photo));
    this.box.checked = session.chosen.has(photo.id);
  }
}

/** Choose a photo for comparison, four at most. */
export function choose(photo, box) {
  if (box.checked && session.chosen.size >= MOST_COMPARED) box.checked = false;
  session.choose(photo, box.checked);
}

function label(photo) {
  if (photo.state === "failed") return `${photo.name}, failed: ${photo.error}`;
  const own = photo.own === undefined ? "" : `, by your taste ${photo.own.toFixed(1)}`;
  return photo.row ? `${photo.name}, score ${photo.row.score.toFixed(1)}${own}` : `${photo.name}, not scored yet`;
}

/** Put a tile before the first one that it is better than, and its photo into the order of all. */
function place(tile, list, order, tiles) {
  const { element, photo } = tile;
  order.splice(order.indexOf(photo), 1);
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (session.compare(photo, order[middle]) < 0) high = middle;
    else low = middle + 1;
  }
  const next = tiles.get(order[low])?.element ?? null;
  order.splice(low, 0, photo);
  if (element.nextElementSibling === next) return;
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(element, next);
  focused?.focus();
}

/** Arrow keys go from photo to photo, up and down to the nearest one of the next row; X chooses for comparison. */
function moveFocus(event, list) {
  const tile = event.target.closest(".tile");
  if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key.toLowerCase() === "x") {
    find("input", tile).click();
    return;
  }
  const next = {
    ArrowRight: () => tile.nextElementSibling,
    ArrowLeft: () => tile.previousElementSibling,
    ArrowDown: () => nearest(tile, list, 1),
    ArrowUp: () => nearest(tile, list, -1),
    Home: () => list.firstElementChild,
    End: () => list.lastElementChild,
  }[event.key]?.();
  if (next) {
    event.preventDefault();
    find("a", next).focus();
  }
}

function nearest(tile, list, way) {
  const here = tile.getBoundingClientRect();
  const middle = (box) => box.left + box.width / 2;
  const boxes = [...list.children].map((other) => [other, other.getBoundingClientRect()]);
  const beyond = boxes.filter(([, box]) => (box.top - here.top) * way > 1);
  const row = beyond.reduce((best, [, box]) => Math.min(best, Math.abs(box.top - here.top)), Infinity);
  const inRow = beyond.filter(([, box]) => Math.abs(box.top - here.top) === row);
  inRow.sort(([, a], [, b]) => Math.abs(middle(a) - middle(here)) - Math.abs(middle(b) - middle(here)));
  return inRow[0]?.[0];
}
