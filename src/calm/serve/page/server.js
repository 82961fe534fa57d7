/** Questions to the server that this page came from. Nothing is asked of any other. */

import { find } from "./dom.js";

const SKETCHED = new Set(["describe", "study"]);
const KEY = "calm-key";
const AGAIN = new Set([429, 503]);
const TOO_LARGE = 413;
const SMALLER = 2048;

/** A question that the server refused. */
export class Refused extends Error {
  constructor(status, { message, code } = {}) {
    super(message ?? `the server answered ${status}`);
    this.status = status;
    this.code = code;
  }
}

/**
 * Ask the server; wait where it is loading or busy, and ask for a key where it wants one.
 * @param {string} path below /v1/
 * @param {object} body sent as JSON
 * @param {AbortSignal} signal gives up
 * @param {(answer: Response) => Promise<any>} read takes the answer out
 * @returns {Promise<object>} the answer
 */
export async function ask(path, body, signal, read = (answer) => answer.json()) {
  for (;;) {
    const answer = await fetch(`v1/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorisation() },
      body: JSON.stringify(body),
      signal,
    });
    if (answer.ok) return read(answer);
    if (answer.status === 401) await askForKey();
    else if (AGAIN.has(answer.status)) await pause(Number(answer.headers.get("Retry-After") ?? 1), signal);
    else throw new Refused(answer.status, (await answer.json().catch(() => ({}))).error);
  }
}

/**
 * Ask about one photo, of which a smaller copy is sent where the file is larger than the server takes.
 * @returns {Promise<object>} its row
 * @throws {Error} saying why the photo failed
 */
export async function askAbout(photo, path, more = {}, signal = undefined) {
  const named = SKETCHED.has(path) ? { uuid: photo.uuid } : {};
  const images = (image) => [{ image, ...named }];
  const row = (image) => ask(path, { images: images(image), ...more }, signal).then((answer) => answer.data[0]);
  return whole(await sent(photo, row));
}

/** What the server says of a photo by one route, asked once. */
export function answered(photo, path) {
  photo.answers[path] ??= askAbout(photo, path).then(
    (row) => (photo.results[path] = row),
    (error) => {
      delete photo.answers[path];
      throw error;
    },
  );
  return photo.answers[path];
}

/**
 * A photo with suggestions carried out.
 * @returns {Promise<{image: string, applied: boolean[], score: number, distribution: number[]}>}
 */
export async function apply(photo, suggestions, signal = undefined) {
  return whole(await sent(photo, (image) => ask("apply", { image, suggestions }, signal)));
}

/** The photo's data URL, given to a question. */
export async function sent(photo, question) {
  if (photo.smaller) return question(photo.smaller);
  try {
    return await question(await dataUrl(photo.file));
  } catch (error) {
    if (error.status !== TOO_LARGE) throw error;
    photo.smaller = await dataUrl(await smallerCopy(photo.file));
    return question(photo.smaller);
  }
}

function whole(row) {
  if (row.status === "failed") throw new Error(row.error);
  return row;
}

/** A file as text that a request can hold. */
export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function smallerCopy(file) {
  const { shrunk } = await import("./pictures.js");
  return (await shrunk(file, SMALLER, 0.95)).blob;
}

function authorisation() {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

let asking = null;

/** One dialog, however many questions wait for the key. */
function askForKey() {
  const dialog = find("#key");
  asking ??= new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        sessionStorage.setItem(KEY, find("input", dialog).value.trim());
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
