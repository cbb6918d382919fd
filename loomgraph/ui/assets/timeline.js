// When each node ran: a lane a node, a bar an activation. The server joins what a pixel cannot tell apart.
import { h, s, named, seconds, SYMBOLS, count } from "./dom.js";
import { get } from "./api.js";

const ROW = 18;
const GAP = 8;
const LANES = 40;

export class Timeline {
  constructor(run, open) {
    this.run = run; this.open = open; this.start = 0; this.span = null; this.told = null;
    const button = (text, label, act) => h("button", { type: "button", title: label, "aria-label": label, onclick: act }, text);
    this.where = h("span", { class: "faint", role: "status" });
    this.pages = h("span", {});
    this.lanes = h("div", {
      class: "lanes", tabindex: "0", role: "group",
      "aria-label": "Timeline. Plus and minus zoom, arrow keys left and right move, 0 shows all.", onkeydown: (event) => this.#key(event),
    });
    this.element = h("div", { class: "timeline" }, h("div", { class: "tools" },
      button("+", "Zoom in", () => this.zoom(0.5)), button("−", "Zoom out", () => this.zoom(2)), button("←", "Earlier", () => this.move(-0.5)),
      button("→", "Later", () => this.move(0.5)), button("All", "Show all", () => { this.span = null; this.load(); }), this.where, this.pages), this.lanes);
    this.lanes.addEventListener("wheel", (event) => { if (event.ctrlKey) { event.preventDefault(); this.zoom(event.deltaY > 0 ? 1.3 : 0.77, this.#share(event)); } }, { passive: false });
    this.#drags();
  }

  async load() {
    const asked = this.asking = {};
    const told = await get("timeline", { run: this.run, from: this.span?.[0], to: this.span?.[1], start: this.start, limit: LANES, width: Math.max(200, Math.round(this.lanes.clientWidth - 180)) });
    if (asked !== this.asking) return;
    this.told = told;
    this.#draw();
  }

  zoom(factor, share = 0.5) {
    if (!this.told) return;
    const { from, to, begin, end } = this.told;
    const width = Math.max((to - from) * factor, 1e-5);
    if (width >= end - begin) this.span = null;
    else { const left = Math.min(Math.max(from + (to - from - width) * share, begin), end - width); this.span = [left, left + width]; }
    this.load();
  }

  move(by) {
    if (!this.told) return;
    const { from, to, begin, end } = this.told;
    const shift = Math.min(Math.max((to - from) * by, begin - from), end - to);
    this.span = [from + shift, to + shift];
    this.load();
  }

  #key(event) {
    const act = { "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), ArrowLeft: () => this.move(-0.25), ArrowRight: () => this.move(0.25), 0: () => { this.span = null; this.load(); } }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #share(event) {
    const box = this.lanes.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left - 170) / (box.width - 180), 0), 1);
  }

  #drags() {
    let from = null;
    this.lanes.addEventListener("pointerdown", (event) => { from = this.#share(event); this.moved = false; });
    this.lanes.addEventListener("pointerup", (event) => {
      const to = this.#share(event);
      if (from !== null && Math.abs(to - from) > 0.02 && this.told) {
        const { from: a, to: b } = this.told;
        this.moved = true;
        this.span = [a + (b - a) * Math.min(from, to), a + (b - a) * Math.max(from, to)];
        this.load();
      }
      from = null;
    });
  }

  #draw() {
    const { from, to, begin, lanes, total } = this.told;
    const wide = Math.max(200, this.lanes.clientWidth - 180);
    const x = (at) => ((Math.min(Math.max(at, from), to) - from) / (to - from)) * wide;
    this.where.textContent = `${seconds(from - begin)} to ${seconds(to - begin)} of the run; drag over a part to zoom into it`;
    this.pages.replaceChildren();
    if (total > LANES) this.pages.append(
      h("button", { type: "button", disabled: this.start === 0, onclick: () => { this.start = Math.max(0, this.start - LANES); this.load(); } }, "Nodes before"),
      h("button", { type: "button", disabled: this.start + LANES >= total, onclick: () => { this.start += LANES; this.load(); } }, "Nodes after"),
      h("span", { class: "faint" }, `nodes ${this.start + 1} to ${Math.min(this.start + LANES, total)} of ${total}`));
    const tops = [];
    let high = 0;
    for (const lane of lanes) { tops.push(20 + high); high += lane.rows * ROW + GAP; }
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => [
      s("line", { class: "tick", x1: 170 + wide * share, x2: 170 + wide * share, y1: 18, y2: 20 + high }),
      s("text", { class: "axis", x: 170 + wide * share, y: 12, "text-anchor": share === 1 ? "end" : share ? "middle" : "start" }, `+${seconds(from - begin + (to - from) * share) || "0"}`)]);
    const rows = lanes.map((lane, at) => {
      const y = tops[at];
      const name = named(lane.path);
      return s("g", {}, s("text", { class: "lane", x: 164, y: y + 15 }, name.length > 21 ? `…${name.slice(-20)}` : name, s("title", {}, name)),
        lane.bars.map((bar) => {
          const left = x(bar.from); const width = Math.max(x(bar.to) - left, 2);
          const told = bar.count > 1 ? `${name}: ${count(bar.count, "activation")}, at worst ${bar.status}` : `${bar.key}: ${bar.status}, ${seconds(bar.to - bar.from)}`;
          return s("g", { class: "bar-of", "data-status": bar.status, onclick: () => { if (!this.moved) this.open(lane.path, bar.key); } },
            s("rect", { class: "box", x: 170 + left, y: y + 2 + bar.row * ROW, width, height: ROW - 3, rx: 2 }),
            width > 40 ? s("text", { class: "inbar", x: 170 + left + 5, y: y + 13 + bar.row * ROW }, `${SYMBOLS[bar.status]}${bar.count > 1 ? ` ×${bar.count}` : ""}`) : null, s("title", {}, told));
        }));
    });
    this.lanes.replaceChildren(s("svg", { width: wide + 180, height: 28 + high, role: "img", "aria-label": `${count(total, "node")} over time; the list of nodes has the same as text.` }, ticks, rows));
  }
}
