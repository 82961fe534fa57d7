/** Scores as CSV. */

import { session } from "./session.js";

const COLUMNS = {
  path: (photo) => photo.name,
  sha256: (photo) => photo.row?.sha256,
  width: (photo) => photo.row?.width,
  height: (photo) => photo.row?.height,
  status: (photo) => (photo.row ? "ok" : photo.state),
  error: (photo) => photo.error,
  note: (photo) => photo.row?.note,
  score: (photo) => photo.row?.score,
  score_std: (photo) => photo.row?.score_std,
  taken: (photo) => photo.row?.taken,
  camera: (photo) => photo.row?.camera,
  by_your_taste: (photo) => photo.own,
  your_rating: (photo) => photo.rating,
  series: (photo) => photo.plan?.series,
  series_kind: (photo) => photo.plan?.series_kind,
  decision: (photo) => session.decisionOf(photo),
  decided_by: (photo) => (photo.decided ? "you" : photo.plan && "calm"),
  reason: (photo) => photo.plan?.reason,
  rival: (photo) => photo.plan?.rival,
  model: (photo) => photo.row?.model,
  model_sha256: (photo) => photo.row?.model_sha256,
};

/** @returns {string} the photos, as they are ordered now */
export function csv() {
  const lines = session.ordered.map((photo) => Object.values(COLUMNS).map((of) => cell(of(photo))));
  return [Object.keys(COLUMNS), ...lines].map((line) => `${line.join(",")}\r\n`).join("");
}

/** A cell is quoted where it must be; one that a spreadsheet would take for a formula begins with an apostrophe. */
function cell(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
