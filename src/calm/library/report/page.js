"use strict";
const $ = (id) => document.getElementById(id);
const gallery = $("gallery"), viewer = $("viewer"), cards = [...document.querySelectorAll(".card")];
const byPath = new Map(cards.map((card) => [card.dataset.path, card]));
const words = new Map();
const chosen = { score: null, time: null };
let current = null;

const visible = () => [...gallery.querySelectorAll(".card")].filter((card) => !card.hidden);
const number = (card, key) => (key in card.dataset ? Number(card.dataset[key]) : NaN);

// What is told of a photo stands in it as text, and pictures without an address, so that 5,000 of them open quickly.
const details = (card) => new DOMParser().parseFromString(card.querySelector(".more").textContent, "text/html").body;
const image = (card) => card.querySelector(".open img");

function draw(picture) {
  if (picture && !picture.src) picture.src = picture.dataset.src;
  return picture;
}

const near = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((each) => each.isIntersecting)) {
    draw(image(entry.target));
    near.unobserve(entry.target);
  }
}, { rootMargin: "800px" });

function textOf(card) {
  if (!words.has(card)) words.set(card, `${card.dataset.name} ${details(card).textContent}`.toLowerCase());
  return words.get(card);
}

function within(card, key) {
  const bar = chosen[key]?.dataset, value = number(card, key);
  return !bar || (value >= Number(bar.low) && (value < Number(bar.high) || ("last" in bar && value <= Number(bar.high))));
}

function filter() {
  const boxes = [...document.querySelectorAll("[name=decision]")];
  const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const search = $("search").value.trim().toLowerCase();
  let count = 0;
  for (const card of cards) {
    const decided = !card.dataset.decision || shown.has(card.dataset.decision);
    card.hidden = !(decided && within(card, "score") && within(card, "time") && (!search || textOf(card).includes(search)));
    count += !card.hidden;
  }
  for (const group of gallery.querySelectorAll("section")) {
    const left = group.querySelectorAll(".card:not([hidden])").length;
    group.hidden = !left;
    group.querySelector("h2 span").textContent = left === 1 ? "1 photo" : `${left} photos`;
  }
  $("count").textContent = count === cards.length ? `${count} photos` : `${count} of ${cards.length} photos`;
  $("reset").hidden = count === cards.length;
}

function arrange() {
  const key = $("sort").value, by = $("group")?.value ?? "";
  const sign = key.startsWith("-") ? -1 : 1, name = key.replace("-", "");
  const collator = new Intl.Collator(undefined, { numeric: true });
  const value = new Map(cards.map((card) => [card, number(card, name)]));
  const last = (each) => (Number.isNaN(each) ? 1 : 0);
  const ordered = [...cards].sort((a, b) => name === "name" ? collator.compare(a.dataset.name, b.dataset.name)
    : last(value.get(a)) - last(value.get(b)) || sign * (value.get(a) - value.get(b)) || a.dataset.n - b.dataset.n);
  const groups = Map.groupBy(ordered, (card) => (by && card.getAttribute(`data-group-${by}`)) || "");
  const parts = [];
  for (const [title, members] of [...groups].sort((a, b) => !a[0] - !b[0])) {
    const list = document.createElement("ol");
    list.className = "cards";
    list.append(...members);
    if (!by) { parts.push(list); continue; }
    const section = document.createElement("section"), heading = document.createElement("h2");
    heading.className = "group";
    heading.append(`${title || "Others"} `, document.createElement("span"));
    section.append(heading, list);
    parts.push(section);
  }
  gallery.replaceChildren(...parts);
  filter();
}

function choose(bar) {
  const key = bar.dataset.by, before = chosen[key];
  before?.setAttribute("aria-pressed", "false");
  chosen[key] = before === bar ? null : bar;
  chosen[key]?.setAttribute("aria-pressed", "true");
  filter();
}

function reset() {
  for (const key of ["score", "time"]) if (chosen[key]) choose(chosen[key]);
  for (const box of document.querySelectorAll("[name=decision]")) box.checked = true;
  $("search").value = "";
  filter();
  $("search").focus();
}

function thumbnail(card, caption) {
  const button = document.createElement("button"), label = document.createElement("span");
  const picture = draw(image(card))?.cloneNode();
  button.type = "button";
  label.textContent = caption;
  button.append(...(picture ? [picture] : []), label);
  button.addEventListener("click", () => show(card));
  return button;
}

function others(card) {
  const found = [], rival = byPath.get(card.dataset.rival), series = card.dataset.groupSeries;
  const heading = (text) => Object.assign(document.createElement("h3"), { textContent: text });
  if (rival) found.push(heading("Rival"), thumbnail(rival, rival.dataset.name));
  const frames = series ? cards.filter((each) => each !== card && each.dataset.groupSeries === series) : [];
  if (frames.length) found.push(heading("Others of the series"), ...frames.map((each) => thumbnail(each, `${each.dataset.decision ?? ""} ${each.dataset.name}`)));
  return found;
}

function show(card) {
  current = card;
  const facts = details(card), list = visible();
  const compare = facts.querySelector(".compare"), picture = draw(image(card))?.cloneNode();
  if (compare) {
    compare.remove();
    const before = compare.querySelector("img");
    before.src = picture.src;
    compare.style.setProperty("--aspect", before.getAttribute("width") / before.getAttribute("height"));
  } else if (picture) picture.alt = `The photo ${card.dataset.name}`;
  $("stage").replaceChildren(...[compare ?? picture].filter(Boolean));
  facts.querySelector(".others").append(...others(card));
  $("facts").replaceChildren(...facts.childNodes);
  $("facts").scrollTop = 0;
  $("viewer-name").textContent = card.dataset.name;
  const place = list.indexOf(card);
  $("viewer-place").textContent = place < 0 ? "" : `${place + 1} of ${list.length}`;
  if (!viewer.open) viewer.showModal();
  $("viewer-name").focus();
}

function slide(compare, share) {
  compare.style.setProperty("--at", `${share}%`);
  compare.querySelector("input").value = share;
}

function drag(event) {
  const figure = event.target.closest?.(".overlaid figure");
  if (!figure || !event.buttons) return;
  event.preventDefault();
  const box = figure.getBoundingClientRect();
  slide(figure.parentElement, Math.min(Math.max((100 * (event.clientX - box.left)) / box.width, 0), 100));
}

function step(by) {
  const list = visible(), place = list.indexOf(current);
  if (list[place + by]) show(list[place + by]);
}

function move(event) {
  const list = visible(), place = list.indexOf(event.target.closest(".card"));
  const columns = getComputedStyle(list[place].parentElement).gridTemplateColumns.split(" ").length;
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (!by || !list[place + by]) return;
  event.preventDefault();
  list[place + by].querySelector(".open").focus();
}

document.addEventListener("click", (event) => {
  const bar = event.target.closest(".bar"), open = event.target.closest(".open");
  if (bar) choose(bar);
  if (open) show(open.closest(".card"));
});
document.addEventListener("input", (event) => {
  if (event.target.matches(".compare input")) slide(event.target.parentElement, event.target.value);
});
document.addEventListener("pointermove", drag);
document.addEventListener("pointerdown", drag);
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const typing = event.target.matches("input, select");
  if (viewer.open) {
    if (!typing && ["ArrowLeft", "ArrowRight"].includes(event.key)) step(event.key === "ArrowLeft" ? -1 : 1);
  } else if (event.target.matches(".open")) move(event);
  if (!viewer.open && !typing && event.key === "/") { event.preventDefault(); $("search").focus(); }
});
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
viewer.addEventListener("close", () => current?.querySelector(".open").focus());
$("close").addEventListener("click", () => viewer.close());
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("reset").addEventListener("click", reset);
$("search").addEventListener("input", filter);
$("sort").addEventListener("change", arrange);
$("group")?.addEventListener("change", arrange);
for (const box of document.querySelectorAll("[name=decision]")) box.addEventListener("change", filter);
document.querySelector(".tools").addEventListener("submit", (event) => event.preventDefault());
$("size").addEventListener("input", (event) => document.documentElement.style.setProperty("--size", `${event.target.value}px`));
$("theme").addEventListener("change", (event) => {
  document.documentElement.dataset.theme = event.target.value;
  try { localStorage.setItem("calm-theme", event.target.value); } catch { /* a file may not keep anything */ }
});
try {
  $("theme").value = document.documentElement.dataset.theme = localStorage.getItem("calm-theme") ?? "";
} catch { /* as above */ }
if ($("group")?.value) arrange();
document.documentElement.classList.remove("loading");
for (const card of cards) near.observe(card);
