/** Two to four photos side by side; all show the same part, at the same size. */

import { h } from "./dom.js";
import { histogram } from "./histogram.js";
import { pictureUrl } from "./pictures.js";
import { session } from "./session.js";

const MOST = 12;
const STEP = 1.25;

/** @param {HTMLElement} main @param {AbortSignal} signal ends the view */
export function show(main, signal) {
  const photos = [...session.chosen].map((id) => session.get(id)).filter(Boolean);
  if (photos.length < 2) {
    main.replaceChildren(
      h(
        "section.welcome",
        {},
        h("h1", {}, "Compare"),
        h("p", {}, "Choose two to four photos in the gallery: the box in their corner, or ", h("kbd", {}, "X"), "."),
        h("p", {}, h("a.button.primary", { href: "#/" }, "To the gallery")),
      ),
    );
    return;
  }
  const view = new View();
  const best = Math.max(...photos.map((photo) => photo.row?.score ?? 0));
  const panes = photos.map((photo) => pane(photo, view, best, signal));
  const zoom = h("input", {
    id: "zoom",
    type: "range",
    min: 0,
    max: Math.log(MOST),
    step: 0.01,
    value: 0,
    input: () => view.zoomTo(Math.exp(zoom.value)),
  });
  const whole = h("button", { type: "button", click: () => view.reset() }, "Whole photo ", h("kbd", {}, "0"));
  const grid = h("div.panes", { "data-count": photos.length }, panes);
  main.replaceChildren(
    h("div.heading", {}, h("h1", {}, "Compare"), h("label", { for: "zoom" }, "Zoom"), zoom, whole),
    grid,
  );
  view.on(() => {
    grid.style.setProperty("--zoom", view.zoom);
    grid.style.setProperty("--x", `${view.x * 100}%`);
    grid.style.setProperty("--y", `${view.y * 100}%`);
    zoom.value = Math.log(view.zoom);
  });
  addEventListener("keydown", (event) => keys(event, view), { signal });
}

/** What all panes show: how large, and how far from the middle, in shares of a photo's frame. */
class View {
  zoom = 1;
  x = 0;
  y = 0;
  #changed = () => {};

  on(changed) {
    this.#changed = changed;
    changed();
  }

  /** Zoom, with a place of the pane (−.5 … .5 from its middle) staying where it is. */
  zoomTo(zoom, atX = 0, atY = 0) {
    const before = this.zoom;
    this.zoom = Math.min(MOST, Math.max(1, zoom));
    this.move(atX / this.zoom - atX / before, atY / this.zoom - atY / before);
  }

  move(x, y) {
    const room = (1 - 1 / this.zoom) / 2;
    const within = (value) => Math.min(room, Math.max(-room, value));
    this.x = within(this.x + x);
    this.y = within(this.y + y);
    this.#changed();
  }

  reset() {
    this.zoom = 1;
    this.move(0, 0);
  }
}

function pane(photo, view, best, signal) {
  const picture = h("img", { src: pictureUrl(photo, signal), alt: photo.name, draggable: "false" });
  const frame = h("div.frame", {}, picture);
  const place = (event) => {
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
  };
  frame.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      view.zoomTo(view.zoom * Math.exp(-event.deltaY / 400), ...place(event));
    },
    { passive: false },
  );
  frame.addEventListener("dblclick", (event) => view.zoomTo(view.zoom > 1 ? 1 : 4, ...place(event)));
  frame.addEventListener("pointerdown", (event) => frame.setPointerCapture(event.pointerId));
  frame.addEventListener("pointermove", (event) => {
    if (!frame.hasPointerCapture(event.pointerId)) return;
    const box = frame.getBoundingClientRect();
    view.move(event.movementX / box.width / view.zoom, event.movementY / box.height / view.zoom);
  });
  const score = photo.row?.score;
  return h(
    "figure.pane",
    {},
    frame,
    h(
      "figcaption",
      {},
      h("a", { href: `#/photo/${photo.id}`, title: photo.name }, photo.title),
      score === best && h("span.best", {}, "best"),
      score !== undefined && h("strong", {}, score.toFixed(2)),
      photo.row && histogram(photo.row),
    ),
  );
}

function keys(event, view) {
  if (event.target.matches("input, select") || document.querySelector("dialog[open]")) return;
  const far = 0.1 / view.zoom;
  const does = {
    "+": () => view.zoomTo(view.zoom * STEP),
    "=": () => view.zoomTo(view.zoom * STEP),
    "-": () => view.zoomTo(view.zoom / STEP),
    0: () => view.reset(),
    ArrowLeft: () => view.move(far, 0),
    ArrowRight: () => view.move(-far, 0),
    ArrowUp: () => view.move(0, far),
    ArrowDown: () => view.move(0, -far),
    Escape: () => (location.hash = "#/"),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  does();
}
