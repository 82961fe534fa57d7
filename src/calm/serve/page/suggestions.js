/** Suggestions as switches: each is tried by itself at once, and those that are on are tried together. */

import { h } from "./dom.js";
import { answered, apply } from "./server.js";

/**
 * @param {HTMLElement} place @param {import("./stage.js").Stage} stage
 * @param {(row: object|null) => void} showScore of the changed photo, null for the photo as it is
 */
export async function suggestions(photo, place, stage, showScore, signal) {
  const title = h("h2", { id: "suggestions-title" }, "Suggestions");
  place.replaceChildren(title, h("div.skeleton", {}, h("i"), h("i")));
  const row = await answered(photo, "suggest").catch((problem) => ({ error: problem.message, suggestions: [] }));
  const { suggestions: found, error } = row;
  place.removeAttribute("aria-busy");
  if (!found.length) {
    place.replaceChildren(title, h(error ? "p.failed" : "p", {}, error ?? "There is nothing to mend."));
    return;
  }
  const switches = found.map((suggestion, i) => new Switch(suggestion, i, update));
  place.replaceChildren(title, h("ul", {}, switches.map((each) => each.element)));
  stage.drawCrop(found.find((each) => each.crop)?.crop);

  let giveUp = new AbortController();
  signal.addEventListener("abort", () => giveUp.abort());

  async function update() {
    giveUp.abort();
    giveUp = new AbortController();
    const { signal: superseded } = giveUp;
    const on = switches.filter((each) => each.on).map((each) => each.suggestion);
    stage.element.classList.toggle("busy", on.length > 0);
    try {
      const after = on.length ? await apply(photo, on, superseded) : null;
      if (superseded.aborted) return;
      stage.change(after?.image ?? null);
      showScore(after);
    } catch (problem) {
      if (superseded.aborted) return;
      showScore(null);
      switches.forEach((each) => each.fail(problem.message));
    }
    stage.element.classList.remove("busy");
  }

  for (const each of switches) {
    if (signal.aborted) return;
    each.tried = photo.answers[`apply ${each.number}`] ??= apply(photo, [each.suggestion]);
    each.show(await each.tried.catch(() => null), row);
  }
}

class Switch {
  constructor(suggestion, number, update) {
    this.suggestion = suggestion;
    this.number = number;
    this.box = h("input", { type: "checkbox", role: "switch", id: `suggestion-${number}`, change: update });
    this.gain = h("span.gain", { "aria-live": "off" }, "…");
    const sure = Math.round(suggestion.confidence * 100);
    this.element = h(
      "li",
      {},
      this.box,
      h("label", { for: this.box.id }, suggestion.text),
      this.gain,
      h(
        "div.sure",
        {},
        h("meter", { min: 0, max: 1, value: suggestion.confidence, "aria-label": `Confidence ${sure} %` }),
        h("span", {}, `${sure} % sure${amountOf(suggestion)}`),
      ),
    );
  }

  get on() {
    return this.box.checked;
  }

  /** What this suggestion alone would do to the score. */
  show(tried, row) {
    if (tried?.applied[0]) {
      const change = tried.score - row.score;
      this.gain.textContent = `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)}`;
      this.gain.dataset.way = change < 0 ? "down" : "up";
      this.gain.title = "Change of the score by this alone";
      return;
    }
    this.gain.textContent = "";
    this.fail("For the next photo: this cannot be done afterwards.");
  }

  fail(reason) {
    this.box.checked = false;
    this.box.disabled = true;
    this.element.append(h("p.small", {}, reason));
  }
}

function amountOf({ amount, unit }) {
  if (amount === null || amount === undefined) return "";
  return ` · ${Number(amount.toPrecision(2))} ${unit ?? ""}`.trimEnd();
}
