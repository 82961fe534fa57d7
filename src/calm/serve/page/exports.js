/** Files to take away: scores as CSV, XMP sidecars, a report. Nothing is written beside the photos. */

import { find, h } from "./dom.js";
import { shrunk } from "./pictures.js";
import { ask, dataUrl } from "./server.js";
import { session } from "./session.js";
import { csv } from "./table.js";

const WAYS = [
  ["Scores as CSV", "a row a photo, for spreadsheets", "calm-scores.csv", saveTable],
  ["XMP sidecars", "stars and labels for Lightroom, darktable, digiKam; unpack them beside the photos", "calm-xmp.zip", saveSidecars],
  ["Report", "one web page with pictures, scores, reasons and words", "calm-report.html", saveReport],
];
const EDGES = [
  [200, 560],
  [1200, 480],
  [Infinity, 320],
];
const QUALITY = 0.78;

/** Ask which file is wanted. */
export function offer() {
  const dialog = find("#export-files");
  const message = h("p", { role: "status" });
  const way = ([text, about, name, make]) =>
    h(
      "li",
      {},
      h("button", { type: "button", click: ({ currentTarget }) => save(currentTarget, name, make, message) }, text),
      h("span.small", {}, about),
    );
  dialog.replaceChildren(
    h("h2", { id: "export-title" }, "Export"),
    h("ul.ways", {}, WAYS.map(way)),
    message,
    h("form", { method: "dialog" }, h("button.primary", {}, "Close")),
  );
  dialog.showModal();
}

async function save(button, name, make, message) {
  button.disabled = true;
  message.textContent = `${name} is being made …`;
  try {
    const url = URL.createObjectURL(await make());
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    message.textContent = `${name} is saved where the browser puts downloads.`;
  } catch (error) {
    message.textContent = error.message;
  }
  button.disabled = false;
}

async function saveTable() {
  return new Blob([csv()], { type: "text/csv" });
}

/** What is in a sidecar that came with the photos stays in it. */
async function saveSidecars() {
  const photos = [];
  for (const photo of session.ordered.filter((each) => each.row)) {
    const { name, row } = photo;
    const there = session.sidecars.get(name);
    const before = there ? { sidecar: there.name, before: await there.file.text() } : {};
    const { score, model, rating } = row;
    photos.push({ name, score, model, rating, decision: session.decisionOf(photo), ...before });
  }
  if (!photos.length) throw new Error("No photo has a score yet.");
  return ask("sidecars", { photos }, undefined, (answer) => answer.blob());
}

/** The server makes the page, in which the pictures are put here. */
async function saveReport() {
  const photos = session.ordered;
  const [, edge] = EDGES.find(([most]) => photos.length <= most);
  const pictures = await Promise.all(photos.map((photo) => picture(photo, edge)));
  const rows = photos.map((photo, i) => rowOf(photo, pictures[i]));
  const title = `${photos.length} photos`;
  const page = await ask("report", { title, photos: rows }, undefined, (answer) => answer.text());
  const parts = page.split(/(?<=data-src=")picture:(\d+)(?=")/);
  return new Blob(parts.map((part, i) => (i % 2 ? pictures[part].url : part)), { type: "text/html" });
}

async function picture(photo, edge) {
  if (!photo.row || !photo.small) return null;
  const { blob, width, height } = await shrunk(photo.small, edge, QUALITY);
  return { url: await dataUrl(blob), size: [width, height] };
}

function rowOf(photo, small) {
  const { comment, suggest } = photo.results;
  const { row = {}, plan = {} } = photo;
  const { decision: planned, reason, rival, series, series_kind } = plan;
  const why = photo.decided && planned ? `decided by hand; planned: ${planned}, ${reason}` : reason;
  return {
    ...row,
    ...{ name: photo.name, status: photo.row ? "ok" : "failed", error: photo.error ?? null, picture: small?.size },
    ...{ decision: session.decisionOf(photo), reason: why, rival, series, series_kind },
    ...{ comment: comment?.comment, aspects: comment?.aspects, suggestions: suggest?.suggestions },
  };
}
