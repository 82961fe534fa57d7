/** What to keep of a shoot: its series, a decision for each photo with its reason, and other decisions by key. */

import { find, h } from "./dom.js";
import { ask, askAbout } from "./server.js";
import { session } from "./session.js";

const KINDS = { burst: "Burst", bracket: "Bracket", stack: "Focus stack", panorama: "Panorama" };
const DECISIONS = { keep: ["Keep", "✓"], maybe: ["Maybe", "?"], reject: ["Reject", "✕"] };
const PRESETS = { everyday: "Everyday", strict: "Strict", action: "Action" };
const KEYS = { k: "keep", m: "maybe", r: "reject" };
const MOST_COMPARED = 4;
const AT_ONCE = 4;

/** How the last shoot of this page was culled. */
const wanted = { keep: "20%", preset: "everyday", diverse: false, taste: false };

/** @param {HTMLElement} main @param {AbortSignal} signal ends the view */
export function show(main, signal) {
  const photos = session.photos.filter((photo) => photo.row);
  if (photos.length < 2) {
    main.replaceChildren(
      h(
        "section.welcome",
        {},
        h("h1", {}, "Cull"),
        h("p", {}, "Add the photos of a shoot first. Series among them are found, and what to keep is proposed."),
        h("p", {}, h("a.button.primary", { href: "#/" }, "To the gallery")),
      ),
    );
    return;
  }
  new Shoot(photos, main, signal).plan();
}

class Shoot {
  constructor(photos, main, signal) {
    this.photos = photos;
    this.signal = signal;
    this.shown = "all";
    this.shots = new Map();
    this.message = h("p.small", { role: "status" });
    this.filters = h("div.segments", { role: "group", "aria-label": "Which photos" });
    this.loupe = h("section.loupe", { "aria-label": "Photo" });
    this.groups = h("div.groups", { keydown: (event) => this.walk(event) });
    main.replaceChildren(
      h("div.heading", {}, h("h1", {}, "Cull"), this.options()),
      h("article.culling", {}, h("div.left", {}, this.loupe), h("div.right", {}, this.message, this.filters, this.groups)),
    );
    addEventListener("keydown", (event) => this.key(event), { signal });
  }

  options() {
    const change = () => {
      wanted.keep = keep.value.trim() || "20%";
      [wanted.preset, wanted.diverse, wanted.taste] = [preset.value, diverse.checked, taste.checked];
      this.plan();
    };
    const keep = h("input", { id: "keep", value: wanted.keep, size: 5, pattern: "\\d+(\\.\\d+)?%|\\d+", change });
    const preset = h("select", { id: "preset", change }, Object.entries(PRESETS).map(([value, text]) =>
      h("option", { value, selected: value === wanted.preset }, text),
    ));
    const box = (id, checked, disabled = false) => h("input", { id, type: "checkbox", checked, disabled, change });
    const diverse = box("diverse", wanted.diverse);
    const knows = this.photos.some((photo) => photo.own !== undefined);
    const taste = box("by-taste", wanted.taste && knows, !knows);
    return h(
      "div.options",
      {},
      h("label", { for: "keep" }, "Keep"),
      keep,
      h("label", { for: "preset" }, "Preset"),
      preset,
      h("label", {}, diverse, " Few of one scene"),
      h("label", { title: knows ? "" : "Rate some photos first" }, taste, " By your taste"),
    );
  }

  /** Ask for the plan, have photos looked at more closely that it asks for, and ask again. */
  async plan() {
    this.giveUp?.abort();
    this.giveUp = new AbortController();
    const signal = AbortSignal.any([this.giveUp.signal, this.signal]);
    this.message.textContent = "Series are being found …";
    try {
      for (;;) {
        const plan = await ask("cull", this.question(), signal);
        const lacking = [plan.unknown, plan.closer].map((places) => places.map((place) => this.photos[place]));
        const [unknown, closer] = [lacking[0], lacking[1].filter((photo) => !photo.studied)];
        if (plan.data.length) this.take(plan.data);
        else if (!unknown.length) this.message.textContent = `Series are being found, ${Math.floor(100 * plan.compared)} %`;
        if (plan.data.length && !closer.length) break;
        await this.each(unknown, "describe", "read", signal);
        await this.each(closer, "study", "looked at closely", signal);
      }
    } catch (error) {
      if (!signal.aborted) this.message.textContent = error.message;
      return;
    }
    this.count();
  }

  question() {
    const { keep, preset, diverse, taste } = wanted;
    const photos = this.photos.map(({ uuid, name, own }) => ({ uuid, name, ...(taste && own ? { score: own } : {}) }));
    return { photos, keep, preset, diverse };
  }

  /** Ask a question about photos, a few at a time. */
  async each(photos, path, done, signal) {
    const waiting = [...photos];
    const run = async () => {
      for (let photo = waiting.shift(); photo; photo = waiting.shift()) {
        this.message.textContent = `${photos.length - waiting.length} of ${photos.length} ${done}`;
        await askAbout(photo, path, {}, signal).catch((error) => {
          if (signal.aborted || path === "describe") throw error;
        });
        photo.studied = path === "study"; // one that fails is judged without
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, run));
  }

  take(rows) {
    rows.forEach((row, i) => (this.photos[i].plan = { ...row, rival: this.photos[row.rival]?.name ?? null }));
    this.draw();
    this.count();
  }

  /** A group for each series, in the order of their first photos, and one for all others. */
  draw() {
    this.shots.clear();
    const series = new Map();
    for (const photo of this.photos) {
      const { series: number } = photo.plan;
      series.set(number, [...(series.get(number) ?? []), photo]);
    }
    const order = [...series.keys()].sort((a, b) => (a ?? Infinity) - (b ?? Infinity));
    this.groups.replaceChildren(...order.map((number) => this.group(number, series.get(number))));
    this.show(this.shown);
    this.select(this.shots.has(this.current) ? this.current : this.visible()[0]);
  }

  group(number, photos) {
    const id = `series-${number ?? "none"}`;
    const title = number ? `${KINDS[photos[0].plan.series_kind]} ${number}` : "Photos by themselves";
    const shots = photos.map((photo) => this.shot(photo));
    return h(
      "section.group",
      { "aria-labelledby": id },
      h("h2", { id }, title, h("small", {}, ` ${photos.length} photo${photos.length > 1 ? "s" : ""}`)),
      h("ul.shots", {}, shots.map((shot) => h("li", {}, shot))),
    );
  }

  shot(photo) {
    const picture = h("img", { alt: "", src: photo.thumbnail, loading: "lazy", decoding: "async" });
    const shot = h(
      "button.shot",
      { type: "button", focus: () => this.select(photo), click: () => this.select(photo) },
      picture,
      h("span.mark", { "aria-hidden": "true" }),
    );
    this.shots.set(photo, shot);
    mark(photo, shot);
    return shot;
  }

  /** @param {"all"|"keep"|"maybe"|"reject"} which */
  show(which) {
    this.shown = which;
    for (const [photo, shot] of this.shots) {
      shot.parentElement.hidden = which !== "all" && session.decisionOf(photo) !== which;
    }
    for (const group of this.groups.children) group.hidden = !group.querySelector("li:not([hidden])");
    this.count();
  }

  count() {
    if (!this.shots.size) return;
    const of = (which) => this.photos.filter((photo) => session.decisionOf(photo) === which).length;
    const counts = { all: this.photos.length, keep: of("keep"), maybe: of("maybe"), reject: of("reject") };
    this.filters.replaceChildren(
      ...Object.entries(counts).map(([which, count]) =>
        h(
          "button",
          { type: "button", "aria-pressed": String(which === this.shown), click: () => this.show(which) },
          `${DECISIONS[which]?.[0] ?? "All"} ${count}`,
        ),
      ),
    );
    const own = this.photos.filter((photo) => photo.decided).length;
    const series = new Set(this.photos.map((photo) => photo.plan.series).filter(Boolean)).size;
    this.message.textContent = `${series} series${own ? `, ${own} decided by you` : ""}`;
  }

  visible() {
    return [...this.shots].filter(([, shot]) => !shot.closest("[hidden]")).map(([photo]) => photo);
  }

  /** Put a photo into the loupe. */
  select(photo) {
    if (!photo || this.signal.aborted) return;
    this.shots.get(this.current)?.removeAttribute("aria-current");
    this.shots.get(photo).setAttribute("aria-current", "true");
    if (photo !== this.current) this.enlarge(photo);
    this.current = photo;
    this.tellOf(photo);
  }

  enlarge(photo) {
    const url = photo.shown ?? URL.createObjectURL(photo.file);
    const picture = h("img", { src: url, alt: photo.name });
    this.frame = h("div.frame", {}, picture);
    if (!photo.shown) picture.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
    picture.addEventListener("error", () => (picture.src = photo.thumbnail ?? ""), { once: true });
  }

  tellOf(photo) {
    const { plan, row } = photo;
    const decision = session.decisionOf(photo);
    const choice = ([name, [text]]) =>
      h(
        `button.${name}`,
        { type: "button", "aria-pressed": String(name === decision), click: () => this.decide(photo, name) },
        `${text} `,
        h("kbd", {}, text[0]),
      );
    this.loupe.replaceChildren(
      this.frame,
      h(
        "p.figure",
        {},
        h("a", { href: `#/photo/${photo.id}`, title: photo.name }, photo.title),
        h("strong", {}, row.score.toFixed(2)),
      ),
      h("div.segments.decision", { role: "group", "aria-label": "Decision" }, Object.entries(DECISIONS).map(choice)),
      h("p.small", {}, photo.decided ? "You decided. Planned: " : "", plan.decision, ": ", plan.reason),
      plan.series &&
        h("button", { type: "button", click: () => this.compare(photo) }, "Compare the series ", h("kbd", {}, "C")),
    );
  }

  /** @param {string|undefined} decision none for that of the plan */
  decide(photo, decision) {
    photo.decided = decision;
    mark(photo, this.shots.get(photo));
    this.count();
    this.tellOf(photo);
  }

  /** The best of a photo's series side by side. */
  compare(photo) {
    if (!photo.plan.series) return;
    const order = Object.keys(DECISIONS);
    const rank = (each) => order.indexOf(session.decisionOf(each)) * 10 - each.row.score - 1e3 * (each === photo);
    const series = this.photos.filter((each) => each.plan.series === photo.plan.series);
    session.chosen.clear();
    series.sort((a, b) => rank(a) - rank(b)).slice(0, MOST_COMPARED).forEach((each) => session.choose(each, true));
    location.hash = "#/compare";
  }

  /** Arrows go from photo to photo. */
  walk(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by || !this.current) return;
    event.preventDefault();
    this.step(by);
  }

  step(by, from = this.visible()) {
    const next = from[from.indexOf(this.current) + by];
    if (next) this.shots.get(next).focus();
  }

  key(event) {
    if (event.target.matches("input:not([type=checkbox]), select") || event.ctrlKey || event.metaKey || event.altKey)
      return;
    if (document.querySelector("dialog[open]") || !this.current) return;
    const photo = this.current;
    const decision = KEYS[event.key.toLowerCase()];
    const before = this.visible();
    if (decision) {
      this.decide(photo, decision);
      this.step(1, before);
    } else if (event.key === "Backspace") this.decide(photo, undefined);
    else if (event.key === "Enter" && event.target.matches(".shot")) location.hash = `#/photo/${photo.id}`;
    else if (event.key.toLowerCase() === "c") this.compare(photo);
    else if (event.key === "Escape") location.hash = "#/";
    else return;
    event.preventDefault();
  }
}

/** Show a photo's decision on its picture. */
function mark(photo, shot) {
  const decision = session.decisionOf(photo);
  shot.dataset.decision = decision;
  shot.toggleAttribute("data-own", Boolean(photo.decided));
  find(".mark", shot).textContent = DECISIONS[decision][1];
  shot.title = photo.plan.reason;
  shot.setAttribute("aria-label", `${photo.name}, ${decision}${photo.decided ? " by you" : ""}: ${photo.plan.reason}`);
}
