/** A score as a distribution: ten bars, and a mark at the mean. */

import { svg } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 64;
const STEP = WIDTH / 10;
const FOOT = 14;

/**
 * @param {object} row score, score_std and distribution
 * @param {object|null} before the same of the photo before it was changed, drawn as an outline
 * @returns {SVGElement}
 */
export function histogram(row, before = null) {
  const most = Math.max(...row.distribution, ...(before?.distribution ?? []));
  const bars = (distribution, style) =>
    distribution.map((share, i) => {
      const height = Math.max(1, (share / most) * (HEIGHT - FOOT - 8));
      return svg(`rect.${style}`, {
        x: i * STEP + 2,
        y: HEIGHT - FOOT - height,
        width: STEP - 4,
        height,
        rx: 1.5,
      });
    });
  const middle = (score) => (score - 0.5) * STEP;
  const numbers = row.distribution.map((_, i) =>
    svg("text", { x: (i + 0.5) * STEP, y: HEIGHT - 2, "text-anchor": "middle" }, String(i + 1)),
  );
  return svg(
    "svg.histogram",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": inWords(row) },
    bars(row.distribution, "bar"),
    before && bars(before.distribution, "was"),
    svg("line.mean", { x1: middle(row.score), x2: middle(row.score), y1: 2, y2: HEIGHT - FOOT }),
    numbers,
  );
}

function inWords({ score, distribution }) {
  const likeliest = distribution.indexOf(Math.max(...distribution)) + 1;
  return `Score ${score.toFixed(2)} of 10; the likeliest rating is ${likeliest}`;
}
