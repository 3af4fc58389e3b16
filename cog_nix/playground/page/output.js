// Shows what a model gave back: text, pictures, sound, video, files, and whatever else as JSON.
import { element } from "./form.js";

const BY_ENDING = [
  ["image", /\.(png|jpe?g|gif|webp|avif|svg|bmp)$/i],
  ["audio", /\.(mp3|wav|ogg|oga|flac|m4a|aac|opus)$/i],
  ["video", /\.(mp4|webm|mov|mkv|ogv)$/i],
];

/** Replace what is shown. Pieces of a text that comes as a stream are one text where the schema says so. */
export function show(place, value, schema = {}) {
  if (value === undefined || value === null) {
    place.replaceChildren();
    return;
  }
  const joined = Array.isArray(value) && schema["x-cog-array-display"] === "concatenate";
  const shown = joined ? [value.map(String).join("")] : Array.isArray(value) && value.every(isPlain) ? value : [value];
  place.replaceChildren(...shown.map(render));
}

function isPlain(value) {
  return typeof value !== "object" || value === null;
}

function render(value) {
  if (typeof value === "string") return isFile(value) ? media(value) : element("div", { class: "text" }, value);
  if (isPlain(value)) return element("div", { class: "text" }, String(value));
  const files = found(value);
  const made = element("div", {}, element("pre", { tabindex: "0" }, JSON.stringify(shortened(value), null, 2)));
  made.append(...files.map(media));
  return made;
}

function isFile(text) {
  return /^data:[\w.+-]+\/[\w.+-]+[;,]/.test(text) || /^https?:\/\/\S+$/.test(text);
}

function found(value) {
  if (typeof value === "string") return isFile(value) ? [value] : [];
  return isPlain(value) ? [] : Object.values(value).flatMap(found);
}

function media(url) {
  const kind = url.startsWith("data:") ? url.slice(5).split("/")[0] : BY_ENDING.find(([, ending]) => ending.test(new URL(url).pathname))?.[0];
  const name = fileName(url);
  const link = element("a", { href: url, download: name, rel: "noreferrer noopener", target: "_blank" }, `Save ${name}`);
  if (kind === "image") return element("figure", {}, element("img", { src: url, alt: `Output: ${name}` }), element("figcaption", {}, link));
  if (kind === "audio" || kind === "video") return element("figure", {}, element(kind, { src: url, controls: true }), element("figcaption", {}, link));
  return element("p", {}, link);
}

function fileName(url) {
  if (!url.startsWith("data:")) return new URL(url).pathname.split("/").pop() || "output";
  const subtype = url.slice(5).split(/[;,]/)[0].split("/")[1].split("+")[0];
  return `output.${{ jpeg: "jpg", plain: "txt", "octet-stream": "bin", mpeg: "mp3" }[subtype] ?? subtype}`;
}

/** A value without the bulk of files in it, for reading. */
export function shortened(value) {
  if (typeof value === "string" && value.startsWith("data:") && value.length > 200) return `${value.slice(0, 60)}… (${value.length} characters)`;
  if (Array.isArray(value)) return value.map(shortened);
  if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shortened(one)]));
  return value;
}
