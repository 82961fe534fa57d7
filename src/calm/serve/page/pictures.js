/** Small copies of photos, and photos as the browser can show them. */

import { apply } from "./server.js";
import { session } from "./session.js";

const SMALL = 560;
const AT_ONCE = 2;
const waiting = [];
let running = 0;

/** Make a small copy of each photo, in turn, a few at a time. */
export function makeThumbnails(photos) {
  waiting.push(...photos);
  while (running < AT_ONCE && waiting.length) run();
}

async function run() {
  running += 1;
  for (let photo = waiting.shift(); photo; photo = waiting.shift()) {
    try {
      photo.thumbnail = await thumbnail(photo);
    } catch (error) {
      photo.unseen = error.message; // the row says what is wrong with it
    }
    session.changed(photo);
  }
  running -= 1;
}

async function thumbnail(photo) {
  try {
    const { blob, width, height } = await shrunk(photo.file, SMALL, 0.85);
    photo.small = blob;
    photo.shape = width / height;
    return URL.createObjectURL(blob);
  } catch {
    // the browser cannot read it; the server may
    photo.shown = (await apply(photo, [])).image;
    return photo.shown;
  }
}

/**
 * A copy with a long edge of at most so many pixels.
 * @returns {Promise<{blob: Blob, width: number, height: number}>} a JPEG and its size
 */
export async function shrunk(file, longest, quality) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality });
  canvas.width = canvas.height = 0; // gives its pixels back, which otherwise stay until much else is collected
  return { blob, width, height };
}

/** URL of the photo itself, until the signal; of what the server made of it where the browser cannot read it. */
export function pictureUrl(photo, signal) {
  if (photo.shown) return photo.shown;
  const url = URL.createObjectURL(photo.file);
  signal.addEventListener("abort", () => URL.revokeObjectURL(url));
  return url;
}
