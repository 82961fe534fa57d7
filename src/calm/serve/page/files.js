/** Photos and their sidecars out of what was dropped or chosen: files, and folders with all below them. */

const PHOTO = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|bmp|heic|heif|avif|mpo)$/i;
const SIDECAR = /\.xmp$/i;
const HIDDEN = /(^|\/)[.@]/;

/** @typedef {{file: File, name: string}} Named a file by its path below the folder that was given */

/** @returns {Named[]} of an input's files */
export const chosenFiles = (input) => [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));

/** @returns {Promise<Named[]>} of a drop */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return (await Promise.all(entries.map(walk))).flat();
}

/** @param {Named[]} files @returns {Named[]} the photos among them */
export function photosOf(files) {
  const named = ({ file, name }) => (file.type.startsWith("image/") || PHOTO.test(name)) && !HIDDEN.test(name);
  return files.filter(named).sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

/**
 * XMP sidecars among files: photo.jpg.xmp of photo.jpg, and photo.xmp where no other file has that name.
 * @param {Named[]} files @returns {Map<string, Named>} by the photo's name
 */
export function sidecarsOf(files) {
  const found = new Map();
  const [sidecars, others] = [true, false].map((is) => files.filter(({ name }) => SIDECAR.test(name) === is));
  for (const sidecar of sidecars) {
    const stem = sidecar.name.replace(SIDECAR, "");
    const own = others.filter(({ name }) => name === stem);
    const like = others.filter(({ name }) => name.replace(/\.[^./]+$/, "") === stem);
    const [of] = own.length ? own : like.length === 1 ? like : [];
    if (of && (own.length || !found.has(of.name))) found.set(of.name, sidecar);
  }
  return found;
}

async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // a folder is read in parts
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return (await Promise.all(found.map(walk))).flat();
    found.push(...part);
  }
}
