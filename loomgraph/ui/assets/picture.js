// A graph as boxes and lines, drawn once; statuses are data attributes that change while the run goes on.
import { h, s, SYMBOLS, seconds } from "./dom.js";

const NAMES = { start: "start", end: "end", map: "map", graph: "graph", human: "person", join: "join", unknown: "unknown" };

function outline(node) {
  const { x, y, width: w, height: t } = node;
  if (node.kind === "start" || node.kind === "end") return [s("rect", { class: "box", x, y, width: w, height: t, rx: t / 2 })];
  if (node.kind === "join") return [s("ellipse", { class: "box", cx: x + w / 2, cy: y + t / 2, rx: w / 2, ry: t / 2 })];
  if (node.kind === "human") return [s("path", { class: "box", d: `M${x + 8},${y}H${x + w}L${x + w - 8},${y + t}H${x}Z` })];
  const box = s("rect", { class: "box", x, y, width: w, height: t, rx: 4 });
  if (node.kind === "map") return [s("path", { class: "behind", d: `M${x + 5},${y}v-4h${w}v${t}h-5` }), box];
  if (node.kind === "graph") return [box, s("rect", { class: "inner", x: x + 3, y: y + 3, width: w - 6, height: t - 6, rx: 3 })];
  return [box];
}

const RANK = ["running", "waiting", "failed", "cancelled", "handled", "succeeded", "skipped"];

// how often a node fired, or how many of a map's items are settled
export function visits(node) {
  const items = Object.values(node.items).reduce((a, b) => a + b, 0);
  if (items) return `${items - (node.items.running ?? 0) - (node.items.waiting ?? 0)}/${items} items`;
  return String(Object.entries(node.counts).reduce((a, [status, n]) => a + (status === "skipped" ? 0 : n), 0) || "");
}

export function overlay(node) {
  if (!node || node.status === "idle") return `${SYMBOLS.idle} not run`;
  const inItems = Object.values(node.items).reduce((a, b) => a + b, 0);
  const visits = Object.entries(node.counts).reduce((a, [status, n]) => a + (status === "skipped" ? 0 : n), 0);
  const parts = [];
  if (inItems) parts.push(`${inItems - (node.items.running ?? 0) - (node.items.waiting ?? 0)}/${inItems}`);
  else if (visits > 1) parts.push(`×${visits}`);
  if (node.status !== "succeeded") parts.push(node.status);
  if (node.seconds && node.status !== "skipped") parts.push(seconds(node.seconds));
  return `${SYMBOLS[node.status]} ${parts.join(" ") || "done"}`;
}

export class Picture {
  constructor(told, choose) {
    this.told = told; this.choose = choose;
    this.outcomes = new Map(); this.decided = new Map(); this.into = new Map(); this.behind = [];
    this.places = new Map();
    this.view = { x: -20, y: -20, width: told.width + 40, height: told.height + 40 };
    this.svg = s("svg", { class: "picture", role: "group", "aria-label": `Graph ${told.name}. Arrow keys go from node to node, Enter opens one.`, onkeydown: (event) => this.#key(event) });
    this.svg.append(s("defs", {}, s("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" }, s("path", { class: "tip", d: "M0,0L8,4L0,8Z" })),
      s("marker", { id: "went", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 10, markerHeight: 10, markerUnits: "userSpaceOnUse", orient: "auto" }, s("path", { class: "tip went", d: "M0,0L8,4L0,8Z" })),
      s("marker", { id: "passed", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" }, s("path", { class: "tip hollow", d: "M.7,.9L7,4L.7,7.1Z" }))));
    this.layer = s("g", {});
    this.svg.append(this.layer);
    this.key = h("p", { class: "key", hidden: true }, h("span", { "aria-hidden": "true" }, "┈▷ "), "dotted: not taken");
    this.#draw();
    const button = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
    this.element = h("div", { class: "canvas" }, this.svg, this.key, h("div", { class: "zoom" },
      button("+", "Zoom in", () => this.#zoom(0.8)), button("−", "Zoom out", () => this.#zoom(1.25)), button("⤢", "Show all", () => { this.moved = true; this.fit(); })));
    this.svg.addEventListener("wheel", (event) => { event.preventDefault(); this.#zoom(event.deltaY > 0 ? 1.15 : 0.87, this.#at(event)); }, { passive: false });
    this.#drags();
    new ResizeObserver(() => this.#first()).observe(this.element);
  }

  #draw() {
    const { nodes, edges, clusters } = this.told;
    for (const cluster of clusters) {
      const [x, y, width, height] = cluster.box;
      this.layer.append(s("rect", { class: "cluster", x, y, width, height, rx: 8 }));
    }
    const lines = s("g", { "aria-hidden": "true" });
    for (const edge of edges) {
      const [first, ...rest] = edge.points;
      let d = `M${first}`;
      for (let at = 0; at + 2 < rest.length; at += 3) d += `C${rest[at]} ${rest[at + 1]} ${rest[at + 2]}`;
      const line = s("path", { class: "edge", "data-kind": edge.kind, d: `${d}L${edge.tip}`, "marker-end": "url(#arrow)" });
      lines.append(line);
      this.#decide(edge, line);
      if (edge.at) edge.label.forEach((text, at) => lines.append(s("text", { class: "label", x: edge.at[0], y: edge.at[1] + (at - (edge.label.length - 1) / 2) * 13 + 4 }, text)));
    }
    this.layer.append(lines);
    nodes.forEach((node) => this.layer.append(this.#node(node)));
    const first = nodes.find((node) => node.path);
    if (first) this.places.get(first.path).group.setAttribute("tabindex", "0");
  }

  // whose outcome says whether the edge was taken; behind a join's mark it is that of its members
  #decide(edge, line) {
    if (!edge.decided) { if (edge.kind === "join") this.behind.push({ mark: edge.source, line }); return; }
    const found = { ...edge.decided, line, taken: null };
    const key = found.start ? `start ${found.path}` : found.path;
    for (const at of found.cap ? [key, found.target] : [key]) this.decided.set(at, [...(this.decided.get(at) ?? []), found]);
    this.into.set(edge.target, [...(this.into.get(edge.target) ?? []), found]);
  }

  // how often an edge was taken; null where that is not decided or not known
  #taken({ path, index, start, always, cap, target }) {
    const found = this.outcomes.get(start ? `start ${path}` : path);
    if (!found) return null;
    const ran = (one) => one && Object.entries(one.counts).some(([status, number]) => status !== "skipped" && number);
    if (cap) return found.settled && target && !ran(this.outcomes.get(target)) ? 0 : null;
    const number = always ? found.succeeded : (found.taken[index] ?? 0);
    return number || (found.settled ? 0 : null);
  }

  #went(keys) {
    for (const key of keys) for (const edge of this.decided.get(key) ?? []) { edge.taken = this.#taken(edge); this.#line(edge.line, edge.taken); }
    for (const { mark, line } of this.behind) this.#line(line, (this.into.get(mark) ?? []).every((edge) => edge.taken === 0) ? 0 : null);
    this.key.hidden = !this.svg.querySelector('[data-taken="no"]');
  }

  #line(line, number) {
    const how = number === 0 ? "no" : number ? "yes" : "";
    if (line.dataset.taken === how && line.dataset.times === String(number)) return;
    line.dataset.taken = how; line.dataset.times = String(number);
    line.setAttribute("marker-end", how === "no" ? "url(#passed)" : how ? "url(#went)" : "url(#arrow)");
    line.replaceChildren(...(number === null ? [] : [s("title", {}, number === 0 ? "not taken" : number === 1 ? "taken once" : `taken ${number.toLocaleString("en")} times`)]));
  }

  // graphs that began: which edges out of START they took
  begun(starts) {
    for (const { path, count, taken } of starts) {
      const key = `start ${path}`;
      this.outcomes.set(key, { settled: count, succeeded: count, taken, counts: {} });
    }
    if (starts.length) this.#went(starts.map(({ path }) => `start ${path}`));
  }

  #node(node) {
    const middle = node.x + node.width / 2;
    const rows = node.lines.length + (node.path ? 1 : 0);
    const top = node.y + node.height / 2 - (rows - 1) * 8.5 + 4;
    const texts = node.lines.map((text, at) => s("text", { class: at ? "more" : "name", x: middle, y: top + at * 17 }, text));
    const status = node.path ? s("text", { class: "status", x: middle, y: top + node.lines.length * 17 }, "· not run") : null;
    const group = s("g", { class: "node", "data-kind": node.kind, "data-path": node.path || null, "data-status": node.path ? "idle" : null }, outline(node), texts, status);
    if (node.path) {
      group.setAttribute("role", "button");
      group.setAttribute("tabindex", "-1");
      group.addEventListener("click", () => { if (!this.dragged) this.select(node.path, true); });
      this.places.set(node.path, { node, group, status });
      this.#name(node.path, null);
    } else group.setAttribute("aria-hidden", "true");
    return group;
  }

  #name(path, found) {
    const { node, group, status } = this.places.get(path);
    const text = overlay(found);
    if (status.textContent !== text) status.textContent = text;
    group.setAttribute("aria-label", `${node.lines[0]}, ${NAMES[node.kind] ?? "node"}: ${found?.status ?? "not run"}, ${text.slice(2)}`);
  }

  // nodes of graphs that are made as a run goes on have the name of the box that stands for them, and something more
  #placeOf(path) {
    if (this.places.has(path)) return path;
    const parts = path.split("/");
    for (const known of this.places.keys()) {
      const names = known.split("/");
      if (names.length === parts.length && names.every((name, at) => name === parts[at] || (at && names[at - 1].startsWith("@") && parts[at].startsWith(`${name} `)))) return known;
    }
    return null;
  }

  // the nodes that a box stands for, if these are others than its own
  standsFor(path) { return [...(this.places.get(path)?.parts?.values() ?? [])]; }

  #together(path, node) {
    const place = this.places.get(path);
    place.parts ??= new Map();
    place.parts.set(node.path, node);
    const sum = { counts: {}, items: {}, taken: {}, seconds: 0, status: node.status };
    for (const one of place.parts.values()) {
      for (const what of ["counts", "items", "taken"]) for (const [status, number] of Object.entries(one[what])) sum[what][status] = (sum[what][status] ?? 0) + number;
      sum.seconds += one.seconds;
    }
    sum.status = RANK.find((status) => [...place.parts.values()].some((one) => one.status === status)) ?? "idle";
    return sum;
  }

  // what became of nodes; `reset` forgets what was there
  show(nodes, reset) {
    if (reset) {
      this.outcomes.clear();
      this.#went(this.decided.keys());
      for (const [path, place] of this.places) { place.parts = null; place.group.dataset.status = "idle"; this.#name(path, null); }
    }
    const told = new Set();
    for (const node of nodes) {
      const path = this.#placeOf(node.path);
      if (!path) continue;
      told.add(path);
      const place = this.places.get(path);
      const shown = path === node.path ? node : this.#together(path, node);
      if (place.group.dataset.status !== shown.status) place.group.dataset.status = shown.status;
      this.#name(path, shown);
      const { succeeded = 0, handled = 0, skipped = 0 } = shown.counts;
      this.outcomes.set(path, { settled: succeeded + handled + skipped, succeeded, taken: shown.taken, counts: shown.counts });
    }
    if (told.size) this.#went(told);
  }

  select(path, chosen = false) {
    for (const { group } of this.places.values()) if (group.hasAttribute("aria-current")) { group.removeAttribute("aria-current"); group.setAttribute("tabindex", "-1"); }
    const place = this.places.get(path);
    if (!place) return;
    place.group.setAttribute("aria-current", "true");
    for (const { group } of this.places.values()) if (group !== place.group && group.getAttribute("tabindex") === "0") group.setAttribute("tabindex", "-1");
    place.group.setAttribute("tabindex", "0");
    if (chosen) this.choose(path);
  }

  #key(event) {
    const path = event.target.closest?.(".node")?.dataset.path;
    if (event.key === "+" || event.key === "=") { this.#zoom(0.8); return; }
    if (event.key === "-") { this.#zoom(1.25); return; }
    if (!path) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.select(path, true); return; }
    const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    const from = this.places.get(path).node;
    const centre = (node) => [node.x + node.width / 2, node.y + node.height / 2];
    const [x, y] = centre(from);
    let best = null; let least = Infinity;
    for (const { node, group } of this.places.values()) {
      const [a, b] = centre(node);
      const along = (a - x) * way[0] + (b - y) * way[1];
      const aside = Math.abs((a - x) * way[1]) + Math.abs((b - y) * way[0]);
      if (node === from || along <= 1) continue;
      const cost = along + 3 * aside;
      if (cost < least) { least = cost; best = { node, group }; }
    }
    if (!best) return;
    this.places.get(path).group.setAttribute("tabindex", "-1");
    best.group.setAttribute("tabindex", "0");
    this.#reveal(best.node);
    best.group.focus();
  }

  #reveal(node) {
    const view = this.view;
    if (node.x < view.x || node.x + node.width > view.x + view.width) view.x = node.x + node.width / 2 - view.width / 2;
    if (node.y < view.y || node.y + node.height > view.y + view.height) view.y = node.y + node.height / 2 - view.height / 2;
    this.#apply();
  }

  #first() {
    if (!this.element.clientWidth) return;
    if (this.moved) this.#shape(); else this.fit(true);
  }

  // the whole graph, or at first as much of it as can be read
  fit(readable = false) {
    const { clientWidth: w, clientHeight: t } = this.element;
    const all = Math.max((this.told.width + 40) / w, (this.told.height + 40) / t);
    const scale = Math.max(readable ? Math.min(all, 1.25) : all, 0.85);
    this.view = { width: w * scale, height: t * scale };
    this.view.x = (this.told.width - this.view.width) / 2;
    this.view.y = this.told.height + 40 > this.view.height ? -20 : (this.told.height - this.view.height) / 2;
    const first = this.told.nodes[0];
    if (first && this.told.width + 40 > this.view.width) this.view.x = first.x + first.width / 2 - this.view.width / 2;
    this.#apply();
  }

  #shape() {
    const scale = this.view.width / (this.width || this.element.clientWidth);
    this.view.width = this.element.clientWidth * scale;
    this.view.height = this.element.clientHeight * scale;
    this.#apply();
  }

  #apply() {
    this.width = this.element.clientWidth;
    const { x, y, width, height } = this.view;
    this.svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  }

  #at(event) {
    const box = this.svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #zoom(factor, [u, v] = [0.5, 0.5]) {
    this.moved = true;
    const view = this.view;
    const width = Math.max(100, Math.min(view.width * factor, 20 * (this.told.width + this.element.clientWidth)));
    const by = width / view.width;
    view.x += view.width * u * (1 - by);
    view.y += view.height * v * (1 - by);
    view.width = width; view.height *= by;
    this.#apply();
  }

  #drags() {
    let from = null;
    this.svg.addEventListener("pointerdown", (event) => { if (event.button === 0) { from = { x: event.clientX, y: event.clientY, view: { ...this.view } }; this.dragged = false; } });
    this.svg.addEventListener("pointermove", (event) => {
      if (!from) return;
      const scale = this.view.width / this.svg.clientWidth;
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      if (Math.hypot(dx, dy) < 4 && !this.dragged) return;
      if (!this.dragged) this.svg.setPointerCapture(event.pointerId);
      this.dragged = this.moved = true;
      this.view.x = from.view.x - dx * scale; this.view.y = from.view.y - dy * scale;
      this.#apply();
    });
    const end = () => { from = null; };
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointercancel", end);
  }
}
