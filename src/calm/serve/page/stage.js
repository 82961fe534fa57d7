/** The picture on a photo's page: before and after, the crop, and where the model looked. */

import { h, svg } from "./dom.js";
import { pictureUrl } from "./pictures.js";

const SHOWN = [
  ["before", "Before"],
  ["split", "Split"],
  ["after", "After"],
];

export class Stage {
  /** @param {object} photo @param {AbortSignal} signal ends the page */
  constructor(photo, signal) {
    this.before = h("img.before", { alt: photo.name, src: pictureUrl(photo, signal) });
    this.after = h("img.after", { alt: `${photo.name} with the suggestions carried out`, hidden: true });
    this.heat = h("canvas.heat", { hidden: true });
    this.crop = svg("svg.crop", { viewBox: "0 0 1000 1000", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.split = h("input.split", {
      type: "range",
      min: 0,
      max: 100,
      value: 50,
      "aria-label": "Where before ends and after begins",
      hidden: true,
      input: () => this.frame.style.setProperty("--split", `${this.split.value}%`),
    });
    this.frame = h("div.frame", {}, this.before, this.after, this.heat, this.crop, this.split);
    this.ways = h("div.segments", { role: "group", "aria-label": "Before or after", hidden: true });
    this.element = h("div.stage", {}, this.frame, this.ways);
    this.ways.append(
      ...SHOWN.map(([way, text]) =>
        h("button", { type: "button", "data-way": way, click: () => this.show(way) }, text),
      ),
    );
    this.before.addEventListener("load", () => this.setShape(this.before));
    this.after.addEventListener("load", () => this.show(this.way));
    this.way = "split";
  }

  /** Show a changed photo, as an image's URL; null for none. */
  change(url) {
    this.ways.hidden = !url;
    if (url) {
      this.after.src = url;
      return;
    }
    this.after.removeAttribute("src");
    this.show("before");
    this.way = "split";
  }

  /** @param {"before"|"split"|"after"} way a changed frame of another shape cannot be split */
  show(way) {
    const alike = Math.abs(shapeOf(this.after) / shapeOf(this.before) - 1) < 0.01;
    this.way = way === "split" && !alike ? "after" : way;
    const changed = this.way !== "before" && this.after.hasAttribute("src");
    this.after.hidden = !changed;
    this.split.hidden = !(changed && this.way === "split");
    this.frame.dataset.way = changed ? this.way : "before";
    this.crop.classList.toggle("off", changed && this.way === "after");
    this.setShape(changed && this.way === "after" ? this.after : this.before);
    for (const button of this.ways.children) {
      button.setAttribute("aria-pressed", String(button.dataset.way === this.way));
      button.disabled = button.dataset.way === "split" && !alike;
    }
  }

  /** From before to after, and back. */
  flip() {
    if (this.after.hasAttribute("src")) this.show(this.way === "before" ? "after" : "before");
  }

  /** Draw a crop, left, top, right and bottom in shares of the frame; null for none. */
  drawCrop(crop) {
    if (!crop) {
      this.crop.replaceChildren();
      return;
    }
    const [left, top, right, bottom] = crop.map((share) => share * 1000);
    const [width, height] = [right - left, bottom - top];
    const thirds = [1, 2].flatMap((i) => [
      svg("line", { x1: left + (i * width) / 3, x2: left + (i * width) / 3, y1: top, y2: bottom }),
      svg("line", { y1: top + (i * height) / 3, y2: top + (i * height) / 3, x1: left, x2: right }),
    ]);
    this.crop.replaceChildren(
      svg("path.outside", {
        d: `M0 0H1000V1000H0Z M${left} ${top}V${bottom}H${right}V${top}Z`,
        "fill-rule": "evenodd",
      }),
      svg("rect.inside", { x: left, y: top, width, height }),
      ...thirds,
    );
  }

  /** Lay a map over the photo: rows of shares; null for none. */
  drawHeat(map) {
    this.heat.hidden = !map;
    if (!map) return;
    const side = map.length;
    const most = Math.max(...map.flat());
    const pixels = new ImageData(side, side);
    map.flat().forEach((share, i) => pixels.data.set(colourOf(share / most), 4 * i));
    smooth(pixels, this.heat);
    this.show("before");
  }

  setShape(picture) {
    if (picture.naturalWidth) this.frame.style.setProperty("--shape", shapeOf(picture));
  }
}

const shapeOf = (picture) => picture.naturalWidth / picture.naturalHeight;

/** A few pixels on a larger canvas, doubled again and again, which leaves no edges of squares. */
function smooth(pixels, canvas) {
  let small = new OffscreenCanvas(pixels.width, pixels.height);
  small.getContext("2d").putImageData(pixels, 0, 0);
  for (let side = 2 * pixels.width; side <= 256; side *= 2) {
    const large = side === 256 ? canvas : new OffscreenCanvas(side, side);
    large.width = large.height = side;
    large.getContext("2d").drawImage(small, 0, 0, side, side);
    small = large;
  }
}

/** From dark blue, where little was looked at, through red to yellow: [red, green, blue, alpha], 0–255. */
function colourOf(heat) {
  const stops = [
    [13, 8, 60, 170],
    [126, 3, 120, 150],
    [224, 74, 60, 140],
    [252, 180, 40, 130],
    [250, 250, 150, 120],
  ];
  const place = heat * (stops.length - 1);
  const from = Math.min(Math.floor(place), stops.length - 2);
  return stops[from].map((value, i) => value + (stops[from + 1][i] - value) * (place - from));
}
