// A list of any length that has only the rows in sight in the page, and asks for them page by page.
import { h } from "./dom.js";

const ROW = 30;
const PAGE = 100;
// browsers cannot draw higher elements; beyond it scrolling is proportional
const HIGHEST = 8_000_000;

export class LongList {
  // heads: names of columns; row(data) gives the cells of one; page(start, limit) gives {total, rows}; open(data, index)
  constructor({ label, heads, widths, row, page, open }) {
    this.row = row; this.page = page; this.open = open;
    this.total = 0; this.pages = new Map(); this.active = -1; this.asked = 0;
    this.sizer = h("div", { class: "sizer", role: "rowgroup" });
    this.head = h("div", { role: "rowgroup", class: "list-heads" }, h("div", { class: "list-head", role: "row", "aria-rowindex": "1" }, heads.map((text) => h("span", { role: "columnheader" }, text))));
    this.body = h("div", {
      class: "scroll", role: "grid", tabindex: "0", "aria-label": label, "aria-rowcount": "0",
      onscroll: () => this.#later(), onkeydown: (event) => this.#key(event),
    }, this.head, this.sizer);
    this.element = h("div", { class: "list" }, this.body);
    this.element.style.setProperty("--columns", widths);
    this.id = `list-${Math.random().toString(36).slice(2)}`;
    new ResizeObserver(() => this.#draw()).observe(this.body);
  }

  async reload() {
    this.pages.clear(); this.active = -1; this.body.scrollTop = 0;
    await this.#load(0);
  }

  // the list has become longer: what is there stays
  grow(total) {
    if (total <= this.total) return;
    const short = Math.floor(this.total / PAGE);
    const end = this.body.scrollTop + this.body.clientHeight >= this.body.scrollHeight - 2 && this.total > 0;
    this.pages.delete(short);
    this.#size(total);
    if (end) this.body.scrollTop = this.body.scrollHeight;
    this.#draw();
  }

  #size(total) {
    this.total = total;
    this.height = Math.min(total * ROW, HIGHEST);
    this.sizer.style.height = `${Math.max(this.height, 1)}px`;
    this.body.setAttribute("aria-rowcount", String(total + 1));
  }

  async #load(number) {
    if (this.pages.has(number)) return;
    const pages = this.pages;
    pages.set(number, null);
    try {
      const told = await this.page(number * PAGE, PAGE);
      pages.set(number, told.rows);
      if (pages.size > 60) for (const old of [...pages.keys()].slice(0, 20)) if (Math.abs(old - number) > 3) pages.delete(old);
      if (told.total !== this.total) this.#size(told.total);
      this.#draw();
    } catch (error) {
      pages.delete(number);
      this.element.dispatchEvent(new CustomEvent("trouble", { detail: error, bubbles: true }));
    }
  }

  #later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.#draw(); });
  }

  #first() {
    const room = this.body.clientHeight;
    const most = Math.max(this.height - room, 1);
    if (this.total * ROW <= HIGHEST) return Math.floor(this.body.scrollTop / ROW);
    return Math.round((this.body.scrollTop / most) * Math.max(this.total - Math.floor(room / ROW), 0));
  }

  #draw() {
    const shown = Math.ceil(this.body.clientHeight / ROW) + 1;
    const first = Math.min(this.#first(), Math.max(this.total - 1, 0));
    const scaled = this.total * ROW > HIGHEST;
    const rows = [];
    for (let at = Math.max(first - 4, 0); at < Math.min(first + shown + 4, this.total); at++) {
      const page = this.pages.get(Math.floor(at / PAGE));
      if (page === undefined) this.#load(Math.floor(at / PAGE));
      const data = page?.[at % PAGE];
      const element = h("div", {
        class: "row", role: "row", id: `${this.id}-${at}`, "aria-rowindex": at + 2, "data-index": at,
        "aria-selected": at === this.active ? "true" : "false", onclick: () => { this.#mark(at); if (data) this.open(data, at); },
      }, data ? this.row(data, at).map((cell) => h("span", { role: "gridcell" }, cell)) : h("span", { role: "gridcell", class: "faint" }, "…"));
      element.style.top = `${scaled ? this.body.scrollTop + (at - first) * ROW : at * ROW}px`;
      rows.push(element);
    }
    this.sizer.replaceChildren(...rows);
    if (this.active >= 0) this.body.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
  }

  #mark(at) {
    this.active = at;
    this.#draw();
  }

  #key(event) {
    const room = Math.max(Math.floor((this.body.clientHeight - this.head.clientHeight) / ROW) - 1, 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: room, PageUp: -room };
    let at = this.active;
    if (event.key in steps) at = at < 0 ? this.#first() : at + steps[event.key];
    else if (event.key === "Home") at = 0;
    else if (event.key === "End") at = this.total - 1;
    else if (event.key === "Enter" || event.key === " ") {
      const data = this.pages.get(Math.floor(at / PAGE))?.[at % PAGE];
      event.preventDefault();
      if (data) this.open(data, at);
      return;
    } else return;
    event.preventDefault();
    at = Math.max(0, Math.min(at, this.total - 1));
    const first = this.#first();
    if (at < first || at >= first + room) {
      const top = at < first ? at : at - room;
      this.body.scrollTop = this.total * ROW <= HIGHEST ? top * ROW : (top / Math.max(this.total - room, 1)) * (this.height - this.body.clientHeight);
    }
    this.#mark(at);
  }
}
