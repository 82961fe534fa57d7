/** The photos of this session. They live in this page alone, and are gone when it is closed. */

/**
 * @typedef {object} Photo
 * @property {number} id
 * @property {File} file
 * @property {string} name its path below the folder that was dropped
 * @property {string} title its name without the folder
 * @property {"waiting"|"scored"|"failed"|"cancelled"} state
 * @property {object} row what the server said of it: score, distribution, …
 * @property {number} own its score by the person's taste, where that is known
 * @property {number} rating what the person gave it, 1–5
 * @property {string} uuid by which the server remembers a sketch of it
 * @property {object} plan what the server would do with it: decision, reason, series, …
 * @property {"keep"|"maybe"|"reject"} decided what the person decided
 * @property {string} error why it failed
 * @property {string} thumbnail URL of a small copy
 * @property {Blob} small that copy
 * @property {number} shape width by height
 * @property {object} answers promises of what else was asked about it, by name
 * @property {object} results what came of them
 */

class Session extends EventTarget {
  /** @type {Photo[]} in the order that they came */
  photos = [];
  /** @type {Map<string, {file: File, name: string}>} sidecars that came with photos, by the photo's name */
  sidecars = new Map();
  order = "score";
  /** Ids of photos that are to be compared. */
  chosen = new Set();

  /** @param {{file: File, name: string}[]} found */
  add(found) {
    const known = new Set(this.photos.map((photo) => keyOf(photo)));
    const fresh = found
      .filter((each) => !known.has(keyOf(each)))
      .map((each, i) => ({
        ...each,
        title: each.name.split("/").pop(),
        id: this.photos.length + i + 1,
        state: "waiting",
        uuid: `${OWN}-${this.photos.length + i + 1}`,
        answers: {},
        results: {},
      }));
    this.photos.push(...fresh);
    this.tell("added", fresh);
    return fresh;
  }

  /** @returns {Photo} of that id */
  get(id) {
    return this.photos[Number(id) - 1];
  }

  /** The photos that there is something to show of, as they are ordered now. */
  get ordered() {
    return [...this.photos].sort((a, b) => this.compare(a, b));
  }

  /** Less than 0 where photo a comes before b. */
  compare(a, b) {
    const names = () => NAMES.compare(a.name, b.name);
    if (this.order === "name") return names();
    return this.scoreOf(b) - this.scoreOf(a) || names();
  }

  /** The score that photos are ordered by; photos without one come last. */
  scoreOf(photo) {
    return (this.order === "taste" ? photo.own : photo.row?.score) ?? 0;
  }

  /** What is to be done with a photo: by the person, else by the plan; undefined where there is none. */
  decisionOf(photo) {
    return photo.decided ?? photo.plan?.decision;
  }

  orderBy(order) {
    this.order = order;
    this.tell("ordered");
  }

  choose(photo, wanted) {
    if (wanted) this.chosen.add(photo.id);
    else this.chosen.delete(photo.id);
    this.tell("chosen");
  }

  /** A photo has changed. */
  changed(photo) {
    this.tell("changed", photo);
  }

  /** @param {(detail: any) => void} listener @param {AbortSignal} signal ends it */
  on(name, listener, signal = undefined) {
    this.addEventListener(name, (event) => listener(event.detail), { signal });
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Sets the uuids of this page apart from those of others. */
const OWN = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const NAMES = new Intl.Collator(undefined, { numeric: true });

const keyOf = ({ file, name }) => `${name} ${file.size} ${file.lastModified}`;

export const session = new Session();
