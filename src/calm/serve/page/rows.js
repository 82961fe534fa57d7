/** Photos in rows that are filled without cutting a photo. */

const WIDEST = 1.5; // of what a tile is at the usual height

/**
 * Where each photo goes: a row takes photos while they fit at the usual height, then grows to fill its width.
 * @param {number[]} shapes width by height of each photo
 * @param {number} width of a row @param {number} height of a row at least @param {number} gap in pixels
 * @returns {{left: number, top: number, width: number, height: number}[]} in pixels
 */
export function fillRows(shapes, width, height, gap) {
  const boxes = [];
  let top = 0;
  for (let first = 0, next = 0; first < shapes.length; first = next) {
    let taken = 0; // of the row's width, by photos at the usual height
    do taken += shapes[next++] * height;
    while (next < shapes.length && taken + shapes[next] * height + (next - first) * gap <= width);
    const free = width - (next - first - 1) * gap;
    const full = next < shapes.length || taken > free;
    const growth = full ? Math.min(WIDEST, free / taken) : 1;
    let left = 0;
    for (const shape of shapes.slice(first, next)) {
      boxes.push({ left, top, width: shape * height * growth, height: height * growth });
      left += shape * height * growth + gap;
    }
    top += height * growth + gap;
  }
  return boxes;
}

/**
 * First and one past the last of the boxes between two heights.
 * @param {{top: number, height: number}[]} boxes in rows, from the top
 */
export function between(boxes, from, to) {
  return [firstOf(boxes, (box) => box.top + box.height >= from), firstOf(boxes, (box) => box.top > to)];
}

/** Place of the first of the boxes for which something holds that holds for all behind it; their number for none. */
function firstOf(boxes, holds) {
  let [low, high] = [0, boxes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(boxes[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The box of the next row, above (-1) or below (1), that is nearest to this one from left to right. */
export function nearest(boxes, index, way) {
  const middle = (box) => box.left + box.width / 2;
  const here = boxes[index];
  let best = null;
  for (let i = index + way, top = null; boxes[i]; i += way) {
    if (boxes[i].top === here.top) continue;
    top ??= boxes[i].top;
    if (boxes[i].top !== top) break;
    const far = Math.abs(middle(boxes[i]) - middle(here));
    if (best === null || far < best.far) best = { i, far };
  }
  return best?.i;
}
