// Two runs side by side, activation by activation: what differs, and what began it.
import { badge, count, fill, h } from "./dom.js";
import { get } from "./api.js";
import { link } from "./runs.js";

const PAGE = 100;

export async function compare(main, left, right) {
  document.title = `Compare ${left} – loomgraph`;
  const other = h("input", { name: "with", value: right, required: true, autocomplete: "off", spellcheck: "false" });
  const form = h("form", { class: "filters" }, h("label", { class: "inline" }, "Compare ", h("b", {}, left), " with run ", other), h("button", {}, "Compare"));
  form.addEventListener("submit", (event) => { event.preventDefault(); location.hash = `#/compare/${encodeURIComponent(left)}?with=${encodeURIComponent(other.value.trim())}`; });
  fill(main, h("h1", {}, "Two runs"), form);
  if (!right) { other.focus(); return; }
  let start = 0;
  let all = false;
  const place = h("section", { "aria-label": "What differs", "aria-live": "off" });
  main.append(place);
  async function load() {
    const told = await get("compare", { left, right, start, limit: PAGE, all: all ? 1 : null });
    const side = (run) => h("th", { scope: "col" }, h("a", { href: link(run.id) }, run.id), " ", badge(run.status));
    const line = (name, [a, b]) => h("tr", { "data-same": a === b ? "yes" : "no" }, h("th", { scope: "row" }, name), h("td", {}, a === b ? "the same" : "differs"), h("td", {}, h("code", {}, a)), h("td", {}, h("code", {}, b)));
    const cell = (one, what) => {
      if (!one) return h("td", { class: "faint" }, "not in this run");
      return h("td", {}, badge(one.status), one.origin === "run" ? null : h("span", { class: "tag" }, one.origin), what.includes("input") && one.status !== "skipped" ? h("div", {}, "given ", h("code", {}, one.input)) : null,
        one.failure ? h("div", {}, one.failure) : one.status === "succeeded" ? h("div", {}, h("code", {}, one.output)) : null);
    };
    const rows = told.activations.map((one) => h("tr", { "data-same": one.same ? "yes" : "no" }, h("th", { scope: "row" }, one.key), h("td", {}, one.same ? "the same" : [...one.differs, ...(one.left && one.right ? [] : ["only in one"])].join(", "), one.source ? h("span", { class: "tag" }, "began here") : null), cell(one.left, one.differs), cell(one.right, one.differs)));
    const amounts = (usage) => [count(usage.activations, "activation"), count(usage.attempts, "attempt"), ...Object.entries(usage.amounts).map(([name, amount]) => `${name.replaceAll("_", " ")} ${Number(amount.toPrecision(6)).toLocaleString("en")}`)].join(", ");
    const box = h("input", { type: "checkbox", checked: all, onchange: () => { all = box.checked; start = 0; load(); } });
    fill(place, h("p", { role: "status" }, told.same ? "Both runs did the same." : `${count(told.differences, "activation")} of ${told.activities} differ.`), h("label", { class: "inline" }, box, "show what is the same too"),
      h("div", { class: "wide card" }, h("table", { class: "compare" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Activation"), h("th", { scope: "col" }, "Differs in"), side(told.left), side(told.right))),
        h("tbody", {}, line("the run's input", told.input), line("the run's output", told.output), line("usage", told.usage.map(amounts)), rows))),
      told.total > PAGE ? h("p", {}, h("button", { type: "button", disabled: start === 0, onclick: () => { start -= PAGE; load(); } }, "Before"), ` ${start + 1} to ${Math.min(start + PAGE, told.total)} of ${told.total} `, h("button", { type: "button", disabled: start + PAGE >= told.total, onclick: () => { start += PAGE; load(); } }, "After")) : null);
  }
  await load();
}
