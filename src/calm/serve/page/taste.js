/** Teach it your taste: rate the photos that tell most, and see the ranking change. */

import { find, h, tell } from "./dom.js";
import { ask, sent } from "./server.js";
import { session } from "./session.js";

const STARS = [1, 2, 3, 4, 5];
const WANTED = 10;
const LISTED = 12;
const HELPS = "It knows your taste better than the general score does.";
const HELPS_NOT = "So far it is not clearly better than the general score: rate some more.";

/** @param {HTMLElement} main @param {AbortSignal} signal ends the view */
export function show(main, signal) {
  const known = readPhotos();
  if (known.length < 2) {
    main.replaceChildren(
      h(
        "section.welcome",
        {},
        h("h1", {}, "Teach it your taste"),
        h("p", {}, "Add some photos first: out of them you will rate about ten."),
        h("p", {}, h("a.button.primary", { href: "#/" }, "To the gallery")),
      ),
    );
    return;
  }
  new RatingRound(known, main, signal).next();
}

/** Photos that a taste can be learnt from. */
const readPhotos = () => session.photos.filter((photo) => photo.row?.read);

class RatingRound {
  constructor(photos, main, signal) {
    this.photos = photos;
    this.signal = signal;
    this.skipped = new Set();
    this.card = h("section.card", { "aria-label": "Photo to rate" });
    this.list = h("ol.ranking", {});
    this.trust = h("div.trust", {});
    main.replaceChildren(
      h(
        "article.taste",
        {},
        h("div.left", {}, h("div.heading", {}, h("h1", {}, "Teach it your taste")), this.card),
        h(
          "div.panel",
          {},
          part("trust-title", "How far to trust it", this.trust),
          part("ranking-title", "Your ranking", this.list),
        ),
      ),
    );
    addEventListener("keydown", (event) => this.key(event), { signal });
  }

  get rated() {
    return this.photos.filter((photo) => photo.rating);
  }

  /** Ask what is known now, show it, and put the most telling photo up. */
  async next() {
    const ratings = this.photos.flatMap(({ rating }, index) => (rating ? [{ index, rating }] : []));
    const body = { read: this.photos.map((photo) => photo.row.read), ratings, count: this.skipped.size + 1 };
    let taste;
    try {
      taste = await ask("taste", body, this.signal);
    } catch (error) {
      if (!this.signal.aborted) this.card.replaceChildren(h("p.failed", {}, error.message));
      return;
    }
    taste.scores.forEach((score, i) => (this.photos[i].own = ratings.length ? score : undefined));
    this.showTrust(taste.trust);
    this.showRanking();
    const upcoming = taste.next.map((i) => this.photos[i]).find((photo) => !this.skipped.has(photo));
    this.put(upcoming);
  }

  put(photo) {
    this.photo = photo;
    const count = this.rated.length;
    if (!photo) {
      this.card.replaceChildren(h("p", {}, "You have rated them all."), this.saving());
      return;
    }
    const star = (value) =>
      h(
        "button",
        { type: "button", "aria-label": `${value} of 5`, click: () => this.rate(value) },
        h("span", { "aria-hidden": "true" }, "★".repeat(value)),
        h("kbd", { "aria-hidden": "true" }, String(value)),
      );
    this.card.replaceChildren(
      h("progress", { max: WANTED, value: Math.min(count, WANTED), "aria-label": "Photos rated" }),
      h("p.small", {}, count < WANTED ? `Photo ${count + 1} of about ${WANTED}` : `${count} rated; more make it surer`),
      h("div.picture", {}, h("img", { src: photo.shown ?? photo.thumbnail ?? "", alt: photo.name })),
      h("h2.unseen", {}, `How do you like ${photo.name}?`),
      h("div.stars", { role: "group", "aria-label": "Your rating" }, STARS.map(star)),
      h(
        "p.buttons",
        {},
        h("button", { type: "button", disabled: !count, click: () => this.back() }, "Back ", h("kbd", {}, "←")),
        h("button", { type: "button", click: () => this.skip() }, "Skip ", h("kbd", {}, "→")),
      ),
      count >= 2 ? this.saving() : "",
    );
    this.enlarge(photo);
  }

  /** The thumbnail is there at once; the photo itself follows. */
  enlarge(photo) {
    if (photo.shown) return;
    const url = URL.createObjectURL(photo.file);
    const image = find("img", this.card);
    image.src = url;
    image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
    image.addEventListener("error", () => (image.src = photo.thumbnail ?? ""), { once: true });
  }

  rate(value) {
    if (!this.photo) return;
    this.photo.rating = value;
    this.last = this.photo;
    this.photo = null;
    session.tell("rated");
    this.next();
  }

  back() {
    const last = this.last?.rating ? this.last : this.rated.at(-1);
    if (!last) return;
    last.rating = undefined;
    this.skipped.clear();
    this.put(last);
  }

  skip() {
    this.skipped.add(this.photo);
    this.next();
  }

  key(event) {
    if (event.target.matches("input") || document.querySelector("dialog[open]")) return;
    const value = Number(event.key);
    if (STARS.includes(value)) this.rate(value);
    else if (event.key === "ArrowLeft") this.back();
    else if (event.key === "ArrowRight") this.skip();
    else if (event.key === "Escape") location.hash = "#/";
  }

  showRanking() {
    const by = (score) => [...this.photos].sort((a, b) => score(b) - score(a));
    const general = by((photo) => photo.row.score);
    const own = by((photo) => photo.own ?? photo.row.score);
    const moved = (photo, place) => general.indexOf(photo) - place;
    this.list.replaceChildren(
      ...own.slice(0, LISTED).map((photo, place) =>
        h(
          "li",
          {},
          h("img", { src: photo.thumbnail ?? "", alt: "" }),
          h("a", { href: `#/photo/${photo.id}`, title: photo.name }, photo.title),
          photo.rating ? h("span.given", { "aria-label": `you gave ${photo.rating}` }, "★".repeat(photo.rating)) : "",
          h("span.moved", { "data-way": Math.sign(moved(photo, place)) }, inPlaces(moved(photo, place))),
          h("span.figure", {}, (photo.own ?? photo.row.score).toFixed(2)),
        ),
      ),
    );
  }

  showTrust(trust) {
    const count = this.rated.length;
    if (!trust) {
      const more = `${5 - count} more rating${count < 4 ? "s" : ""}, and it can be said how well it knows you.`;
      const why = count < 5 ? more : "All your ratings are alike: use the whole scale.";
      this.trust.replaceChildren(h("p", {}, count ? why : "It begins with what is known of other people's tastes."));
      return;
    }
    const row = (name, value, range = "") =>
      h(
        "div.agreement",
        {},
        h("span", {}, name),
        h("meter", { min: 0, max: 1, value: Math.max(0, value), "aria-label": name }),
        h("span.figure", {}, value.toFixed(2), h("small", {}, range)),
      );
    this.trust.replaceChildren(
      h("p", {}, trust.helps ? HELPS : HELPS_NOT),
      row("Your profile", trust.personal, ` ${trust.low.toFixed(2)} – ${trust.high.toFixed(2)}`),
      row("General score", trust.generic),
      h("p.small", {}, "Rank correlation with your ratings, each predicted from the others, and its 95 % range."),
    );
  }

  saving() {
    const name = h("input", { id: "profile-name", value: "me", required: true, maxlength: 64, autocomplete: "off" });
    return h(
      "form.saving",
      {
        submit: (event) => {
          event.preventDefault();
          this.save(name.value.trim(), event.submitter);
        },
      },
      h("label", { for: "profile-name" }, "Keep as profile"),
      name,
      h("button.primary", {}, "Save"),
    );
  }

  /** One photo at a time, for ten may be more than the server takes at once. */
  async save(name, button) {
    button.disabled = true;
    try {
      for (const [i, photo] of this.rated.entries()) {
        const rate = (image) =>
          ask("profiles", { name, scale: [1, 5], ratings: [{ image, rating: photo.rating }], update: i > 0 });
        await sent(photo, rate);
      }
      tell(`Kept. calm rank photos/ --profile ${name} ranks by it, too.`);
    } catch (error) {
      tell(`It could not be kept: ${error.message}`);
    }
    button.disabled = false;
  }
}

const part = (id, title, content) => h("section", { "aria-labelledby": id }, h("h2", { id }, title), content);

function inPlaces(moved) {
  if (!moved) return "·";
  return moved > 0 ? `▲ ${moved}` : `▼ ${-moved}`;
}
