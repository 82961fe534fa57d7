/** The studio: which view is shown, how photos come in, and keys that work everywhere. */

import * as compare from "./compare.js";
import * as cull from "./cull.js";
import { find, h, tell } from "./dom.js";
import { offer } from "./exports.js";
import { chosenFiles, droppedFiles, photosOf, sidecarsOf } from "./files.js";
import * as gallery from "./gallery.js";
import * as photo from "./photo.js";
import { makeThumbnails } from "./pictures.js";
import { cancel, score } from "./scoring.js";
import { session } from "./session.js";
import * as taste from "./taste.js";

const VIEWS = { gallery, photo, taste, compare, cull };
const THEME = "calm-theme";
const KEYS = [
  ["← ↑ → ↓", "from photo to photo"],
  ["Enter", "open a photo"],
  ["Esc", "back to the gallery"],
  ["X", "choose for comparison"],
  ["K M R", "keep, maybe, reject; ⌫ as planned; C compare the series"],
  ["1 … 9", "a suggestion on or off; your rating"],
  ["B", "before and after"],
  ["L", "where the model looked"],
  ["+ − 0", "zoom of a comparison"],
  ["A", "add photos"],
  ["T", "light or dark"],
  ["?", "these keys"],
];

// ------------------------------------------------------------------------------------------------ views

let over = new AbortController();

function showView() {
  const [name, argument] = location.hash.replace(/^#\/?/, "").split("/");
  const view = name in VIEWS ? name : "gallery";
  over.abort();
  over = new AbortController();
  document.body.dataset.view = view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  VIEWS[view].show(find("#main"), over.signal, argument);
  document.title = `${find("h1")?.textContent ?? "Photo"} · calm studio`;
  scrollTo(0, 0);
}

let last = null;

addEventListener("hashchange", (event) => {
  last = /#\/photo\/(\d+)/.exec(event.oldURL)?.[1];
  showView();
  // back in the gallery, the photo that was looked at has the focus
  if (document.body.dataset.view === "gallery" && last) find(".gallery")?.reveal(session.get(last));
  else find("#main").focus({ preventScroll: true });
});

// ------------------------------------------------------------------------------------------------ photos

function take(files) {
  sidecarsOf(files).forEach((sidecar, name) => session.sidecars.set(name, sidecar));
  const found = photosOf(files);
  const fresh = session.add(found);
  if (!fresh.length) {
    tell(found.length ? "No new photos among these files." : "No photos in there.");
    return;
  }
  makeThumbnails(fresh);
  score(fresh);
  find("#export").disabled = false;
}

for (const id of ["files", "folder"]) {
  const input = find(`#${id}`);
  input.addEventListener("change", () => {
    take(chosenFiles(input));
    input.value = "";
  });
}

find("#add").addEventListener("click", () => find("#files").click());
find("#add-folder").addEventListener("click", () => find("#folder").click());
find("#export").addEventListener("click", offer);
find("#progress button").addEventListener("click", cancel);

let inside = 0;

addEventListener("dragenter", () => document.body.classList.toggle("dropping", ++inside > 0));
addEventListener("dragleave", () => document.body.classList.toggle("dropping", --inside > 0));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", async (event) => {
  event.preventDefault();
  inside = 0;
  document.body.classList.remove("dropping");
  take(await droppedFiles(event.dataTransfer));
});

session.on("chosen", () => (find("#chosen").textContent = session.chosen.size || ""));

// ------------------------------------------------------------------------------------------------ light and keys

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}

function turnTheme() {
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const theme = (document.documentElement.dataset.theme ?? preferred) === "dark" ? "light" : "dark";
  localStorage.setItem(THEME, theme);
  setTheme(theme);
}

function showKeys() {
  const dialog = find("#keys");
  dialog.replaceChildren(
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", {}, KEYS.flatMap(([keys, does]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, does)])),
    h("form", { method: "dialog" }, h("button.primary", {}, "Close")),
  );
  dialog.showModal();
}

find("#theme").addEventListener("click", turnTheme);
find("#help").addEventListener("click", showKeys);
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const does = { t: turnTheme, a: () => find("#files").click(), "?": showKeys }[event.key];
  if (does && !document.querySelector("dialog[open]")) does();
});

setTheme(localStorage.getItem(THEME));
showView();
