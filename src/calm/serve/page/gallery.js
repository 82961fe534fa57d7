/** All photos, best first; they find their places while they are scored. */

import { find, h } from "./dom.js";
import { between, fillRows, nearest } from "./rows.js";
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
  const list = h("ul.gallery");
  main.replaceChildren(toolbar(), list);
  new Gallery(list, signal);
}

/** Tiles of the photos near the screen; the others are room alone, so that thousands cost as little as a few. */
class Gallery {
  constructor(list, signal) {
    this.list = list;
    this.tiles = new Map();
    this.stale = new Set(); // photos that changed
    this.order = session.ordered;
    this.arrange();
    const later = once(() => this.arrange(), signal, (run) => setTimeout(run, PAUSE));
    const changed = (photo) => {
      this.stale.add(photo);
      later();
    };
    session.on("changed", changed, signal);
    session.on("added", later, signal);
    session.on("ordered", () => this.arrange(), signal);
    session.on("chosen", () => this.tiles.forEach((tile) => tile.update()), signal);
    const draw = once(() => this.draw(), signal, requestAnimationFrame);
    addEventListener("scroll", draw, { signal, passive: true });
    list.addEventListener("keydown", (event) => this.moveFocus(event), { signal });
    const size = new ResizeObserver(() => list.clientWidth !== this.width && this.arrange());
    size.observe(list);
    signal.addEventListener("abort", () => size.disconnect());
    list.reveal = (photo) => this.focus(this.order.indexOf(photo));
  }

  /** Find all places anew. */
  arrange() {
    const style = getComputedStyle(this.list);
    const [height, gap] = ["--height", "--gap"].map((name) => parseFloat(style.getPropertyValue(name)));
    this.order = session.ordered;
    this.width = this.list.clientWidth;
    this.boxes = fillRows(this.order.map(shapeOf), this.width, height, gap);
    const last = this.boxes.at(-1);
    this.list.style.height = `${last.top + last.height}px`;
    for (const photo of this.stale) this.tiles.get(photo)?.update();
    this.stale.clear();
    this.draw();
  }

  /** Show the tiles that are a screen away at most, in their order, and the one that has the focus. */
  draw() {
    const top = -this.list.getBoundingClientRect().top;
    const [first, end] = between(this.boxes, top - innerHeight, top + 2 * innerHeight);
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null;
    const shown = this.order.slice(first, end).map((photo, i) => [photo, first + i]);
    const kept = focused && this.order.indexOf(focused.closest(".tile").photo);
    if (kept !== null && kept < first) shown.unshift([this.order[kept], kept]);
    if (kept !== null && kept >= end) shown.push([this.order[kept], kept]);
    const wanted = new Set(shown.map(([photo]) => photo));
    for (const [photo, tile] of this.tiles) {
      if (wanted.has(photo)) continue;
      tile.element.remove();
      this.tiles.delete(photo);
    }
    let place = this.list.firstElementChild;
    for (const [photo, index] of shown) {
      if (!this.tiles.has(photo)) this.tiles.set(photo, new Tile(photo));
      const tile = this.tiles.get(photo);
      tile.move(this.boxes[index], index, this.order.length);
      if (tile.element === place) place = place.nextElementSibling;
      else this.list.insertBefore(tile.element, place);
    }
    if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  /** Give the focus to the photo of that place, wherever it is. */
  focus(index) {
    if (index < 0) return;
    if (!this.tiles.has(this.order[index])) {
      const { top, height } = this.boxes[index];
      scrollBy(0, this.list.getBoundingClientRect().top + top - (innerHeight - height) / 2);
      this.draw();
    }
    find("a", this.tiles.get(this.order[index]).element).focus();
  }

  /** Arrow keys go from photo to photo, up and down to the nearest one of the next row; X chooses for comparison. */
  moveFocus(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "x") {
      find("input", tile).click();
      return;
    }
    const here = this.order.indexOf(tile.photo);
    const next = {
      ArrowRight: () => here + 1,
      ArrowLeft: () => here - 1,
      ArrowDown: () => nearest(this.boxes, here, 1),
      ArrowUp: () => nearest(this.boxes, here, -1),
      Home: () => 0,
      End: () => this.order.length - 1,
    }[event.key]?.();
    if (!this.order[next]) return;
    event.preventDefault();
    this.focus(next);
  }
}

/** However often it is called, `run` is called once, when `wait` lets it. */
function once(run, signal, wait) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    wait(() => {
      waiting = false;
      if (!signal.aborted) run();
    });
  };
}

/** Width by height, as far as it is known. */
const shapeOf = (photo) => photo.shape ?? (photo.row?.width ? photo.row.width / photo.row.height : 1.5);

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
    this.picture = h("img", { alt: "", decoding: "async" });
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
    const failed = photo.state === "failed" || photo.state === "cancelled";
    this.element.dataset.state = photo.state;
    this.element.title = photo.error ?? "";
    this.badge.textContent = failed ? photo.state : (session.scoreOf(photo) || photo.row?.score)?.toFixed(2) ?? "";
    this.link.setAttribute("aria-label", label(photo));
    this.box.checked = session.chosen.has(photo.id);
  }

  /** Go to a place; a screen reader is told which of how many it is, since the list holds a part of them. */
  move(box, index, count) {
    const { element } = this;
    for (const [side, pixels] of Object.entries(box)) element.style[side] = `${pixels}px`;
    element.ariaPosInSet = index + 1;
    element.ariaSetSize = count;
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
