/** Photos are scored as they come: a few questions at a time, which the server answers together. */

import { find, tell } from "./dom.js";
import { askAbout } from "./server.js";
import { session } from "./session.js";

const AT_ONCE = 6; // as many connections as browsers keep to one server

let waiting = [];
let running = 0;
let total = 0;
let begun = 0;
let giveUp = new AbortController();

/** Score photos, besides those that wait already. */
export function score(photos) {
  if (!running) {
    total = 0;
    begun = performance.now();
  }
  waiting.push(...photos);
  total += photos.length;
  while (running < AT_ONCE && waiting.length) run();
  showProgress();
}

/** Take back what has no answer yet. */
export function cancel() {
  waiting = [];
  giveUp.abort();
  giveUp = new AbortController();
  for (const photo of session.photos.filter((each) => each.state === "waiting")) {
    photo.state = "cancelled";
    session.changed(photo);
  }
  showProgress();
}

async function run() {
  running += 1;
  const { signal } = giveUp;
  while (waiting.length && !signal.aborted) {
    const photo = waiting.shift();
    try {
      photo.row = await askAbout(photo, "describe", {}, signal);
      photo.state = "scored";
    } catch (error) {
      if (signal.aborted) break;
      photo.state = "failed";
      photo.error = error.message;
    }
    session.changed(photo);
    showProgress();
  }
  running -= 1;
  if (waiting.length) run();
  else if (!running) finish(signal.aborted);
}

function showProgress() {
  const bar = find("#progress");
  const done = total - waiting.length - running;
  bar.hidden = !(running || waiting.length);
  find("progress", bar).value = total ? done / total : 0;
  find("span", bar).textContent = `${done} of ${total} scored${timeLeft(done)}`;
}

function timeLeft(done) {
  if (done < 8) return "";
  const seconds = (((performance.now() - begun) / done) * (total - done)) / 1000;
  return seconds < 90 ? ` · ${Math.ceil(seconds)} s left` : ` · ${Math.round(seconds / 60)} min left`;
}

function finish(cancelled) {
  showProgress();
  const failed = session.photos.filter((photo) => photo.state === "failed").length;
  const scored = session.photos.filter((photo) => photo.state === "scored").length;
  tell(`${cancelled ? "Cancelled: " : ""}${scored} photos scored${failed ? `, ${failed} failed` : ""}.`);
}
