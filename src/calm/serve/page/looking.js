/** Where the model looked: one map for each Q-Former whose attention passes the check by covering (docs/evaluation.md). */

import { h } from "./dom.js";
import { answered } from "./server.js";

const BRANCHES = {
  low: ["Light & colour", "the Q-Former of low-level aesthetics"],
  high: ["Subject", "the Q-Former of high-level aesthetics"],
};

/** @param {HTMLElement} place @param {import("./stage.js").Stage} stage @param {AbortSignal} signal */
export function looking(photo, place, stage, signal) {
  const group = h("div.segments", { role: "radiogroup", "aria-labelledby": "looking-title" });
  const message = h("p.small", { "aria-live": "polite" });
  place.replaceChildren(h("h2", { id: "looking-title" }, "Where it looked"), group, message);

  const options = [["off", "Off"], ...Object.entries(BRANCHES).map(([name, [text]]) => [name, text])].map(
    ([name, text]) =>
      h("button", { type: "button", role: "radio", "data-branch": name, click: () => choose(name) }, text),
  );
  group.append(...options);
  group.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    step(by, true);
  });
  options.forEach((option) => option.addEventListener("next", () => step(1, false)));
  mark("off");

  function step(by, focus) {
    const shown = options.filter((option) => !option.hidden);
    const now = shown.findIndex((option) => option.getAttribute("aria-checked") === "true");
    const next = shown[(now + by + shown.length) % shown.length];
    choose(next.dataset.branch);
    if (focus) next.focus();
  }

  function mark(name) {
    for (const option of options) {
      const is = option.dataset.branch === name;
      option.setAttribute("aria-checked", String(is));
      option.tabIndex = is ? 0 : -1;
    }
  }

  async function choose(name) {
    mark(name);
    if (name === "off") {
      stage.drawHeat(null);
      message.textContent = "";
      return;
    }
    const { attention = {}, error } = await answered(photo, "attention").catch((problem) => ({
      error: problem.message,
    }));
    if (signal.aborted || group.querySelector("[aria-checked=true]").dataset.branch !== name) return;
    options.forEach((option) => (option.hidden = option.dataset.branch !== "off" && !attention[option.dataset.branch]));
    if (!attention[name]) {
      mark("off");
      message.textContent = error ?? "This model's attention has not passed the check by covering, and is not shown.";
      return;
    }
    stage.drawHeat(attention[name]);
    message.textContent = `Attention of ${BRANCHES[name][1]}, from dark to bright.`;
  }
}
