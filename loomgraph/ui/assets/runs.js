// The runs of the store, newest first, with filters and pages. The filters are in the address.
import { badge, count, fill, h, moment, seconds } from "./dom.js";
import { get } from "./api.js";

const STATUSES = ["running", "suspended", "succeeded", "failed", "cancelled"];
export const link = (id) => `#/run/${encodeURIComponent(id)}`;

export async function runs(main, given) {
  document.title = "Runs – loomgraph";
  const field = (label, name, type = "text") => h("label", {}, label, h("input", { name, type, value: given.get(name) ?? "", autocomplete: "off" }));
  const form = h("form", { class: "filters", "aria-label": "Which runs" },
    h("fieldset", { class: "chips" }, h("legend", { class: "unseen" }, "Status"), STATUSES.map((status) => h("label", { class: "chip", "data-status": status }, h("input", { type: "checkbox", name: "status", value: status, checked: given.getAll("status").includes(status), onchange: () => form.requestSubmit() }), status))),
    field("Graph", "graph"), field("User", "user"), field("Session", "session"),
    h("details", { class: "more-filters", open: ["parent", "since", "until"].some((name) => given.get(name)) }, h("summary", {}, "More"), h("div", {}, field("Forks of", "parent"), field("Since", "since", "datetime-local"), field("Until", "until", "datetime-local"))),
    h("span", {}, h("button", { class: "main" }, "Show"), [...given].length ? h("a", { class: "button", href: "#/" }, "Clear") : null));
  const body = h("tbody", {});
  const more = h("button", { type: "button" }, "Older runs");
  const status = h("p", { role: "status", class: "faint" });
  const empty = h("div", { class: "empty", hidden: true });
  const filtered = [...given].length > 0;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    location.hash = `#/?${chosen}`;
  });
  const table = h("div", { class: "wide card" }, h("table", { class: "runs" }, h("caption", { class: "unseen" }, "Runs, newest first"),
    h("thead", {}, h("tr", {}, ["Run", "Graph", "Status", "Created", "Lasted", "Events", "User", "Session", "Fork of"].map((text) => h("th", { scope: "col", class: text === "Lasted" || text === "Events" ? "number" : null }, text)))), body));
  fill(main, h("div", { class: "title" }, h("h1", {}, "Runs"), status), form, empty, table, more);

  const at = (name) => (given.get(name) ? new Date(given.get(name)).getTime() / 1000 : null);
  const query = { status: given.getAll("status"), graph: given.get("graph"), user: given.get("user"), session: given.get("session"), parent: given.get("parent"), since: at("since"), until: at("until") };
  let cursor = null;
  let shown = 0;
  const row = (run) => h("tr", { "data-run": run.id }, h("th", { scope: "row" }, h("a", { href: link(run.id) }, run.id)), h("td", {}, run.graph), h("td", {}, badge(run.status)), h("td", {}, moment(run.created)),
    h("td", { class: "number" }, seconds(run.updated - run.created)), h("td", { class: "number" }, run.events.toLocaleString("en")), h("td", {}, run.user ?? ""), h("td", {}, run.session ?? ""), h("td", {}, run.parent ? h("a", { href: link(run.parent) }, run.parent) : ""));
  const tell = () => {
    status.textContent = shown ? `${count(shown, "run")}${cursor ? " so far" : ""}` : "No runs match.";
    empty.hidden = shown > 0; table.hidden = shown === 0;
    if (!shown) fill(empty, h("h2", {}, filtered ? "No runs match" : "No runs yet"), h("p", {}, filtered ? "No run of this store has all of these. Take a filter away to see more." : "Runs appear here by themselves once they are in this store."),
      filtered ? h("p", {}, h("a", { class: "button", href: "#/" }, "Show all runs")) : h("pre", {}, "loomgraph run MODULE:WORKFLOW --store STORE --input JSON"));
  };
  async function load() {
    const told = await get("runs", { ...query, cursor });
    body.append(...told.runs.map(row));
    shown += told.runs.length;
    cursor = told.cursor;
    more.hidden = cursor === null;
    tell();
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
      else { body.prepend(row(run)); shown += 1; tell(); }
    }
  }, 3000);
  return () => clearInterval(timer);
}
