// Which part of the page is shown: the address behind the # says it, so that back, forward and bookmarks work.
import { alarm, fill, h, say } from "./dom.js";
import { get } from "./api.js";
import { runs } from "./runs.js";
import { run } from "./run.js";
import { compare } from "./compare.js";

const main = document.getElementById("main");
let leave = null;

async function show() {
  leave?.();
  leave = null;
  alarm("");
  say("");
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const given = new URLSearchParams(query);
  try {
    const parts = path.split("/").map(decodeURIComponent);
    if (parts[0] === "run" && parts[1]) leave = await run(main, parts[1], given);
    else if (parts[0] === "compare" && parts[1]) leave = await compare(main, parts[1], given.get("with") ?? "");
    else leave = await runs(main, given);
  } catch (error) {
    fill(main, h("div", { class: "empty", role: "alert" }, h("h1", {}, error.status === 404 ? "Not found" : "That did not work"), h("p", {}, error.message), h("p", {}, h("a", { class: "button", href: "#/" }, "All runs"))));
  }
}

window.addEventListener("hashchange", () => { show().then(() => main.focus({ preventScroll: true })); });
window.addEventListener("unhandledrejection", (event) => alarm(event.reason?.message ?? String(event.reason)));
document.addEventListener("trouble", (event) => alarm(event.detail.message));
document.getElementById("open").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `#/run/${encodeURIComponent(document.getElementById("open-id").value.trim())}`;
});

get("about").then((about) => { document.getElementById("store").textContent = about.store; }, (error) => alarm(error.message));
show();
