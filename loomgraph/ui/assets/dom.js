// Elements made from data. Text goes in as text only: nothing here, or in any other file, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function made(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, attributes, ...children) => made(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => made(document.createElementNS(SVG, tag), attributes, children);

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// a word and a shape for every status, so that colour is never needed
export const SYMBOLS = {
  running: "▶", waiting: "?", suspended: "?", failed: "✗", cancelled: "⊘", handled: "↷", succeeded: "✓", skipped: "–", idle: "·",
};

export const badge = (status) =>
  h("span", { class: "badge", "data-status": status }, h("span", { "aria-hidden": "true" }, `${SYMBOLS[status] ?? "·"} `), status);

export function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 0.00005) return "0 s";
  if (value < 0.00995) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 60) return `${value.toFixed(value < 1 ? 2 : 1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${String(Math.round(value % 60)).padStart(2, "0")} s`;
  return `${Math.floor(value / 3600)} h ${String(Math.round((value % 3600) / 60)).padStart(2, "0")} min`;
}

export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

export function moment(value) {
  if (value === null || value === undefined) return "";
  const at = new Date(value * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export const named = (path) => path.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } }).join(" / ");

let quiet = 0;
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => { place.textContent = ""; }, 8000);
}

export function alarm(text) {
  const place = document.getElementById("alarm");
  if (!text) { place.replaceChildren(); return; }
  fill(place, h("span", {}, text), h("button", { type: "button", onclick: () => alarm("") }, "Dismiss"));
}
