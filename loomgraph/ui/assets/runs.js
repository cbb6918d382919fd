// The runs of the store, newest first, with filters and pages. The filters are in the address.
import { badge, count, fill, h, moment, seconds } from "./dom.js";
import { get } from "./api.js";

const STATUSES = ["running", "suspended", "succeeded", "failed", "cancelled"];
export const link = (id) => `#/run/${encodeURIComponent(id)}`;

export async function runs(main, given) {
  document.title = "Runs – loomgraph";
  const field = (label, name, type = "text") => h("label", {}, label, h("input", { name, type, value: given.get(name) ?? "", autocomplete: "off" }));
  const form = h("form", { class: "filters", "aria-label": "Which runs" },
    h("fieldset", {}, h("legend", {}, "Status"), STATUSES.map((status) => h("label", { class: "inline" }, h("input", { type: "checkbox", name: "status", value: status, checked: given.getAll("status").includes(status) }), status))),
    field("Graph", "graph"), field("User", "user"), field("Session", "session"), field("Forks of", "parent"), field("Since", "since", "datetime-local"), field("Until", "until", "datetime-local"),
    h("span", {}, h("button", {}, "Show"), h("a", { class: "button", href: "#/" }, "Clear")));
  const body = h("tbody", {});
  const more = h("button", { type: "button" }, "Older runs");
  const status = h("p", { role: "status" });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    location.hash = `#/?${chosen}`;
  });
  fill(main, h("h1", {}, "Runs"), form, status, h("div", { class: "wide" }, h("table", {}, h("caption", { class: "unseen" }, "Runs, newest first"),
    h("thead", {}, h("tr", {}, ["Run", "Graph", "Status", "Created", "Lasted", "Events", "User", "Session", "Fork of"].map((text) => h("th", { scope: "col" }, text)))), body)), more);

  const at = (name) => (given.get(name) ? new Date(given.get(name)).getTime() / 1000 : null);
  const query = { status: given.getAll("status"), graph: given.get("graph"), user: given.get("user"), session: given.get("session"), parent: given.get("parent"), since: at("since"), until: at("until") };
  let cursor = null;
  let shown = 0;
  const row = (run) => h("tr", { "data-run": run.id }, h("th", { scope: "row" }, h("a", { href: link(run.id) }, run.id)), h("td", {}, run.graph), h("td", {}, badge(run.status)), h("td", {}, moment(run.created)),
    h("td", { class: "number" }, seconds(run.updated - run.created)), h("td", { class: "number" }, run.events.toLocaleString("en")), h("td", {}, run.user ?? ""), h("td", {}, run.session ?? ""), h("td", {}, run.parent ? h("a", { href: link(run.parent) }, run.parent) : ""));
  async function load() {
    const told = await get("runs", { ...query, cursor });
    body.append(...told.runs.map(row));
    shown += told.runs.length;
    cursor = told.cursor;
    more.hidden = cursor === null;
    status.textContent = shown ? `${count(shown, "run")}${cursor ? " so far" : ""}` : "No runs match.";
  }
  more.addEventListener("click", load);
  await load();
  // the first page stays as of now: new runs come in above, and statuses change
  const timer = setInterval(async () => {
    if (document.hidden) return;
    const told = await get("runs", query).catch(() => null);
    if (!told) return;
    for (const run of told.runs.reverse()) {
      const old = body.querySelector(`tr[data-run="${CSS.escape(run.id)}"]`);
      if (old?.contains(document.activeElement)) continue;
      if (old) old.replaceWith(row(run));
      else { body.prepend(row(run)); shown += 1; status.textContent = `${count(shown, "run")}${cursor ? " so far" : ""}`; }
    }
  }, 3000);
  return () => clearInterval(timer);
}
