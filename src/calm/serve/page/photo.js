/** One photo: the picture with what is drawn on it, and beside it what the model says. */

import { find, h } from "./dom.js";
import { histogram } from "./histogram.js";
import { looking } from "./looking.js";
import { answered } from "./server.js";
import { session } from "./session.js";
import { Stage } from "./stage.js";
import { suggestions } from "./suggestions.js";

const SIGNS = { 1: "+", 0: "·", "-1": "−" };
const MEANINGS = { 1: "strength", 0: "noted", "-1": "weakness" };
const ORDER = [1, -1, 0];
const LEVELS = { low: "Light, colour, sharpness", middle: "Geometry and framing", high: "Subject and mood" };

/** @param {HTMLElement} main @param {AbortSignal} signal ends the view @param {string} id of the photo */
export function show(main, signal, id) {
  const photo = session.get(id);
  if (!photo) {
    location.hash = "#/";
    return;
  }
  const stage = new Stage(photo, signal);
  const score = h("section.score", { "aria-label": "Score" });
  const remarks = h("section.comment", { "aria-labelledby": "comment-title", "aria-busy": true });
  const tried = h("section.suggestions", { "aria-labelledby": "suggestions-title", "aria-busy": true });
  const looked = h("section.looking", { "aria-labelledby": "looking-title" });
  main.replaceChildren(
    h(
      "article.photo",
      {},
      h("div.left", {}, heading(photo), stage.element),
      h("div.panel", {}, score, remarks, tried, looked),
    ),
  );
  const showScore = (after = null) => photo.row && score.replaceChildren(...scoreOf(photo, after));
  showScore();
  if (!photo.row) {
    score.replaceChildren(h("p.wait", {}, photo.error ?? "The photo is being scored …"));
    session.on("changed", (changed) => changed === photo && showScore(), signal);
  }
  if (photo.state === "failed") return;

  suggestions(photo, tried, stage, showScore, signal); // asked first: they take less time than a comment
  comment(photo, remarks);
  looking(photo, looked, stage, signal);
  addEventListener("keydown", (event) => keys(event, photo, stage, tried), { signal });
}

function heading(photo) {
  const order = session.ordered;
  const place = order.indexOf(photo);
  const step = (by, text, name) => {
    const other = order[place + by];
    return h(`a.step${other ? "" : ".off"}`, other ? { href: `#/photo/${other.id}`, "aria-label": name } : {}, text);
  };
  return h(
    "header.heading",
    {},
    h("a.back", { href: "#/" }, "← Gallery"),
    h("h1", { title: photo.name }, photo.title),
    h("span.place", {}, `${place + 1} of ${order.length}`),
    step(-1, "‹", "Previous photo"),
    step(1, "›", "Next photo"),
  );
}

/** The score, and beside it that of the changed photo. */
function scoreOf(photo, after) {
  const { row } = photo;
  const shown = after ?? row;
  const change = after && after.score - row.score;
  return [
    h(
      "p.figure",
      {},
      h("strong", {}, shown.score.toFixed(2)),
      h("span", {}, ` of 10, ± ${shown.score_std.toFixed(2)}`),
      after &&
        h(`span.change.${change < 0 ? "down" : "up"}`, {}, `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)}`),
    ),
    histogram(shown, after && row),
    photo.own !== undefined && h("p.small", {}, `By your taste: ${photo.own.toFixed(2)}`),
    row.note && h("p.small.note", {}, row.note),
  ].filter(Boolean);
}

async function comment(photo, place) {
  place.replaceChildren(h("h2", { id: "comment-title" }, "Comment"), h("div.skeleton", {}, h("i"), h("i"), h("i")));
  const answer = await answered(photo, "comment").catch((error) => ({ error: error.message, aspects: [] }));
  const levels = Object.entries(LEVELS).map(([level, title]) => chips(answer.aspects, level, title));
  place.replaceChildren(
    h("h2", { id: "comment-title" }, "Comment"),
    h(answer.error ? "p.failed" : "p", {}, answer.error ?? answer.comment),
    ...levels.filter(Boolean),
  );
  place.removeAttribute("aria-busy");
}

function chips(aspects, level, title) {
  const rank = (aspect) => ORDER.indexOf(aspect.polarity);
  const own = aspects.filter((aspect) => aspect.level === level).sort((a, b) => rank(a) - rank(b));
  if (!own.length) return null;
  const chip = ({ aspect, polarity, text }) =>
    h(
      "li.chip",
      { "data-polarity": polarity, title: `${MEANINGS[polarity]}: ${aspect.replace("_", " ")}` },
      h("b", { "aria-hidden": "true" }, SIGNS[polarity]),
      h("span.unseen", {}, `${MEANINGS[polarity]}: `),
      text,
    );
  return h("div.level", {}, h("h3", {}, title), h("ul.chips", {}, own.map(chip)));
}

function keys(event, photo, stage, tried) {
  if (event.target.matches("input:not([type=checkbox])") || document.querySelector("dialog[open]")) return;
  const order = session.ordered;
  const go = (by) => {
    const other = order[order.indexOf(photo) + by];
    if (other) location.hash = `#/photo/${other.id}`;
  };
  const does = {
    ArrowLeft: () => go(-1),
    ArrowRight: () => go(1),
    Escape: () => (location.hash = "#/"),
    b: () => stage.flip(),
    l: () => find(".looking [aria-checked=true]")?.dispatchEvent(new CustomEvent("next")),
    x: () => session.choose(photo, !session.chosen.has(photo.id)),
  }[event.key];
  const number = Number(event.key);
  if (does) does();
  else if (number) find(`li:nth-of-type(${number}) input`, tried)?.click();
  else return;
  event.preventDefault();
}
