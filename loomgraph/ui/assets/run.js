// One run: its graph, nodes, timeline and events on one side, what is chosen of them on the other.
import { alarm, badge, count, fill, h, moment, named, say, seconds, SYMBOLS } from "./dom.js";
import { address, get, post } from "./api.js";
import { LongList } from "./list.js";
import { Picture, overlay, visits } from "./picture.js";
import { Timeline } from "./timeline.js";
import { schemaForm } from "./form.js";
import { link } from "./runs.js";

const TABS = ["Graph", "Nodes", "Timeline", "Events"];
const SAID = { running: "The run goes on.", suspended: "The run waits for somebody.", succeeded: "The run has succeeded.", failed: "The run has failed.", cancelled: "The run was cancelled." };
const KINDS = ["NodeStarted", "NodeSucceeded", "NodeFailed", "AttemptFailed", "NodeSkipped", "NodeCancelled", "QuestionAsked", "QuestionAnswered", "SignalReceived", "StepSucceeded", "Metered", "Emitted",
  "IterationStarted", "LoopEnded", "LoopCapReached", "MapStarted", "MapCompleted", "JoinDecided", "ScopeStarted", "ScopeEnded", "RunStarted", "RunResumed", "RunRedriven", "RunSuspended", "RunSucceeded", "RunFailed", "RunCancelled"];

class Page {
  constructor(main, id, given) {
    this.main = main; this.id = id; this.given = given; this.nodes = new Map(); this.state = null; this.forms = new Map(); this.starts = new Map(); this.scope = "";
    this.head = h("div", { class: "head" });
    this.asks = h("section", { class: "asks", "aria-label": "What the run waits for" });
    this.tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views of the run" });
    this.panels = h("div", { class: "panels" });
    this.detail = h("aside", { class: "detail", "aria-label": "What is chosen", tabindex: "-1" });
    document.title = `${id} – loomgraph`;
  }

  async start() {
    this.#show(await get("run", { run: this.id }), true);
    const parts = { Graph: this.graph = h("div", { class: "panel" }), Nodes: this.#nodeList(), Timeline: this.#timeline(), Events: this.#eventList() };
    TABS.forEach((name) => {
      const key = name.toLowerCase();
      this.tabs.append(h("button", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": `panel-${key}`, onclick: () => this.tab(name), onkeydown: (event) => this.#tabKey(event, name) }, name));
      this.panels.append(h("section", { role: "tabpanel", id: `panel-${key}`, "aria-labelledby": `tab-${key}` }, parts[name]));
    });
    this.choose(null);
    fill(this.main, this.head, h("div", { class: "split" }, h("div", { class: "views" }, this.tabs, this.panels), h("div", { class: "side" }, this.asks, this.detail)));
    this.tab(TABS.find((name) => name.toLowerCase() === this.given.get("tab")) ?? "Graph");
    fill(this.graph, h("p", { class: "faint" }, "placing the graph…"));
    performance.mark("loomgraph-run");
    this.#follow();
    // a browser keeps few connections to one server, and tabs that nobody sees need none
    this.seen = () => { if (document.hidden) this.live.close(); else this.#follow(); };
    document.addEventListener("visibilitychange", this.seen);
    this.#picture();
    if (this.given.get("node")) this.choose(this.given.get("node"));
  }

  stop() { this.live?.close(); document.removeEventListener("visibilitychange", this.seen); }

  // ------------------------------------------------------------------ what happens

  #follow() {
    this.live?.close();
    this.live = new EventSource(address("live", { run: this.id }));
    this.live.onmessage = (message) => {
      if (this.lost) { this.lost = false; alarm(""); }
      const told = JSON.parse(message.data);
      this.#show(told, told.reset);
    };
    this.live.addEventListener("gone", (message) => { this.live.close(); alarm(JSON.parse(message.data)); });
    this.live.onerror = () => {
      if (this.live.readyState === EventSource.CLOSED) alarm("The server does not tell about this run any more. Load the page again.");
      else if (!this.lost) { this.lost = true; alarm("The connection to the server is lost; the page tries again by itself."); }
    };
  }

  #show(told, reset) {
    const before = this.state;
    this.state = told;
    if (reset) this.nodes.clear();
    for (const node of told.nodes) this.nodes.set(node.path, node);
    if (reset) this.starts.clear();
    for (const start of told.starts) this.starts.set(start.path, start);
    this.picture?.show(told.nodes, reset);
    this.picture?.begun(told.starts);
    if (before && before.run.status !== told.run.status) say(SAID[told.run.status]);
    else if (before && told.questions.length > before.questions.length) say("The run asks something.");
    this.#header();
    this.#asking();
    if (!before) return;
    if (told.version !== before.version || told.passes !== before.passes) {
      this.#fillNodes();
      this.events?.grow(this.filtered ? 0 : told.run.events);
      if (this.chosen && told.nodes.some((node) => node.path === this.chosen)) this.#stale();
      if (this.shown === "Timeline" && this.timeline && !this.timeline.span) this.#slowly("timeline", () => this.timeline.load());
    }
  }

  // at most once a second, and once more at the end
  #slowly(name, act) {
    this.timers ??= {};
    this.timers[name] ??= setTimeout(() => { this.timers[name] = null; act(); }, 1000);
  }

  #stale() { this.#slowly("detail", () => { if (this.activations && this.activations.body.isConnected) this.activations.grow(this.#number(this.chosen)); }); }

  #number(path) {
    const node = this.nodes.get(path);
    return node ? Object.values(node.counts).concat(Object.values(node.items)).reduce((a, b) => a + b, 0) : 0;
  }

  // ------------------------------------------------------------------ the head

  #header() {
    const { run, said, here, code, activations, attempts, amounts, last, problem, cancelling } = this.state;
    const goes = run.status === "running";
    const cost = Object.entries(amounts).map(([name, amount]) => `${name.replaceAll("_", " ")} ${Number(amount.toPrecision(6)).toLocaleString("en")}`);
    const text = JSON.stringify([run, said, here, code, activations, attempts, amounts, problem, cancelling]);
    if (text === this.written) return;
    this.written = text;
    // what is pressed stays the same element: a button that is made anew between press and release is not pressed
    if (!this.tools) {
      const act = (label, name) => h("button", { type: "button", onclick: () => this.#act(name) }, label);
      this.acts = { resume: act("Resume", "resume"), cancel: act("Cancel", "cancel") };
      this.tools = h("div", { class: "tools" }, this.acts.resume, this.acts.cancel, act("Fork", "fork"),
        h("a", { class: "button", href: run.parent ? `#/compare/${encodeURIComponent(run.parent)}?with=${encodeURIComponent(run.id)}` : `#/compare/${encodeURIComponent(run.id)}` }, run.parent ? "Compare with its parent" : "Compare"),
        h("button", { type: "button", onclick: () => this.#run() }, "Input and output"),
        h("a", { class: "button plain", href: address("export", { run: run.id }), download: true }, "Export"), h("a", { class: "button plain", href: address("export", { run: run.id, form: "events" }), download: true }, "Events as JSON lines"));
      this.facts = h("div", {});
      fill(this.head, this.facts, this.tools);
    }
    const allow = (button, allowed, why) => { button.disabled = !allowed; if (allowed) button.removeAttribute("title"); else button.title = why; };
    allow(this.acts.resume, code && !here && run.status !== "succeeded", code ? "there is nothing to resume" : "start the page with --graph to go on with runs");
    allow(this.acts.cancel, (goes || run.status === "suspended") && !cancelling, cancelling ? "it was asked to stop" : "the run has ended");
    fill(this.facts,
      h("h1", {}, run.id, " ", badge(run.status), here ? h("span", { class: "tag" }, "goes on here") : null, cancelling ? h("span", { class: "tag" }, "asked to stop") : null),
      said ? h("p", { class: run.status === "cancelled" ? "faint" : "said" }, said) : null,
      cancelling ? h("p", { class: "faint" }, `Asked to stop: ${cancelling}. The process that has the run ends it within a few seconds; if that process is dead, its end is written here once its lease has run out.`) : null,
      problem ? h("p", { class: "said" }, `It stopped going on here: ${problem}`) : null,
      h("dl", { class: "facts" }, [["graph", run.graph], ["created", moment(run.created)], ["last event", moment(last)], ["events", run.events.toLocaleString("en")], ["activations", activations.toLocaleString("en")], ["attempts", attempts.toLocaleString("en")],
        run.user ? ["user", run.user] : null, run.session ? ["session", run.session] : null, cost.length ? ["used", cost.join(", ")] : null].filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
        run.parent ? h("div", {}, h("dt", {}, "fork of"), h("dd", {}, h("a", { href: link(run.parent) }, run.parent), ` after event ${run.fork_seq}`)) : null));
  }

  async #act(name) {
    alarm("");
    if (name === "fork") { this.#fork(null); return; }
    if (name === "resume") { this.#resume(); return; }
    this.#cancel();
  }

  #cancel() {
    const reason = h("input", { name: "reason", maxlength: 500, autocomplete: "off" });
    const wrong = h("p", { class: "wrong", role: "alert" });
    const dialog = h("dialog", { "aria-labelledby": "cancel-title" }, h("form", {
      novalidate: true, onsubmit: async (event) => {
        event.preventDefault();
        try { say((await post("cancel", { run: this.id, reason: reason.value.trim() || null })).done); dialog.close(); } catch (error) { wrong.textContent = error.message; }
      },
    }, h("h2", { id: "cancel-title" }, "Cancel this run?"), h("p", {}, "What is in flight is stopped and open questions are withdrawn. What has finished is kept, and the run can be resumed later."),
    h("label", { class: "field" }, "Why ", h("span", { class: "faint" }, "(optional, kept in the log)"), reason), wrong,
    h("div", { class: "tools" }, h("button", { class: "danger" }, "Cancel the run"), h("button", { type: "button", onclick: () => dialog.close() }, "Let it go on"))));
    this.#open(dialog);
  }

  #open(dialog) {
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  async #resume(more = {}) {
    try { say((await post("resume", { run: this.id, ...more })).done); } catch (error) {
      alarm(error.message);
      const again = (text, given) => h("button", { type: "button", onclick: () => { alarm(""); this.#resume({ ...more, ...given }); } }, text);
      const place = document.getElementById("alarm");
      if (error.kind === "GraphChangedError") place.append(again("Keep what ran, go on with the new code", { on_change: "compatible" }), again("Run anew what changed", { on_change: "rerun" }));
      if (error.kind === "InDoubtError") place.append(again("Run it again", { in_doubt: "rerun" }), again("Ask me", { in_doubt: "ask" }));
    }
  }

  // ------------------------------------------------------------------ questions and signals

  #asking() {
    const { questions, signals, interrupts, run, code, here } = this.state;
    const wanted = new Map(questions.map((question) => [`q ${question.id} ${question.asked}`, question]));
    for (const signal of signals) wanted.set(`s ${signal.name}`, signal);
    // a form that somebody fills in stays as it is while the run goes on
    for (const [key, form] of this.forms) if (!wanted.has(key)) { form.remove(); this.forms.delete(key); }
    for (const [key, asked] of wanted) {
      if (!this.forms.has(key)) {
        const form = key.startsWith("q") ? this.#question(asked) : this.#signal(asked);
        this.forms.set(key, form);
        this.asks.append(form);
      }
      const sent = this.forms.get(key).querySelector("[data-sent]");
      if (sent && asked.sent) sent.textContent = here || run.status === "running" ? "Answered; the run will take it up." : code ? "Answered. Resume the run to go on." : "Answered. The run goes on when it is resumed.";
    }
    this.stops ??= h("p", {});
    this.stops.textContent = interrupts.length ? `The run stopped at ${interrupts.join(", ")}, as it was told. Resume it to go on.` : "";
    if (interrupts.length) this.asks.prepend(this.stops); else this.stops.remove();
    this.asks.hidden = !this.asks.childElementCount;
  }

  #question(asked) {
    const form = schemaForm(asked.schema);
    const wrong = h("p", { class: "wrong", role: "alert" }, asked.refused ? `The last answer was not taken: ${asked.refused}` : "");
    const by = h("input", { name: "by", autocomplete: "name", value: localStorage.getItem("by") ?? "" });
    const sent = h("p", { "data-sent": "", role: "status" });
    const send = (resume) => async (event) => {
      event.preventDefault();
      wrong.textContent = "";
      try {
        localStorage.setItem("by", by.value);
        await post("answer", { run: this.id, id: asked.id, answer: form.value(), by: by.value || null });
        say("The answer was sent.");
        if (resume) await this.#resume();
      } catch (error) { wrong.textContent = error.problem ? `That is not what was asked for: ${error.problem}` : error.message; }
    };
    const text = typeof asked.question === "string" ? asked.question : JSON.stringify(asked.question, null, 2);
    const onward = this.state.code && this.state.run.status !== "running";
    const made = h("form", { class: "ask", "aria-label": `Question of ${asked.key}`, onsubmit: send(onward) }, h("h2", {}, h("span", { "aria-hidden": "true" }, "? "), `${asked.key} asks`), h("p", { class: "question" }, text), form.element,
      h("label", { class: "field" }, "Who answers ", h("span", { class: "faint" }, "(optional, kept in the log)"), by), wrong,
      h("div", { class: "tools" }, h("button", { class: "main" }, onward ? "Answer and resume" : "Answer"), onward ? h("button", { type: "button", onclick: send(false) }, "Answer only") : null), sent);
    made.noValidate = true;
    return made;
  }

  #signal(waited) {
    const form = schemaForm(waited.schema);
    const wrong = h("p", { class: "wrong", role: "alert" });
    return h("form", {
      class: "ask", "aria-label": `Signal ${waited.name}`, novalidate: true, onsubmit: async (event) => {
        event.preventDefault();
        wrong.textContent = "";
        try {
          await post("signal", { run: this.id, name: waited.name, value: form.value() });
          say("The signal was sent.");
          if (this.state.code && this.state.run.status !== "running") await this.#resume();
        } catch (error) { wrong.textContent = error.problem ? `That is not what was asked for: ${error.problem}` : error.message; }
      },
    }, h("h2", {}, `${waited.keys.join(", ")} waits for the signal “${waited.name}”`), form.element, wrong, h("div", { class: "tools" }, h("button", { class: "main" }, "Send the signal")));
  }

  // ------------------------------------------------------------------ views

  tab(name) {
    this.shown = name;
    TABS.forEach((one) => {
      const key = one.toLowerCase();
      const button = this.tabs.querySelector(`#tab-${key}`);
      button.setAttribute("aria-selected", one === name ? "true" : "false");
      button.setAttribute("tabindex", one === name ? "0" : "-1");
      this.panels.querySelector(`#panel-${key}`).hidden = one !== name;
    });
    if (name === "Timeline") this.timeline.load();
    if (name === "Events" && !this.read) { this.read = true; this.events.reload(); }
    if (name === "Nodes") this.#fillNodes(true);
  }

  #tabKey(event, name) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = TABS[(TABS.indexOf(name) + by + TABS.length) % TABS.length];
    this.tab(next);
    this.tabs.querySelector(`#tab-${next.toLowerCase()}`).focus();
  }

  // the run's graph, or one that a node ran with ctx.run
  async #picture(scope = "") {
    let told;
    this.scope = scope;
    try { told = await get("picture", { run: this.id, scope }); } catch (error) { told = { missing: error.message }; }
    if (told.missing) {
      fill(this.graph, h("p", { class: "note" }, told.missing), h("p", {}, h("button", { type: "button", onclick: () => this.tab("Nodes") }, "Show the list of nodes")));
      if (this.shown === "Graph") this.tab("Nodes");
      return;
    }
    if (scope !== this.scope) return;
    if (!scope) this.drawn = told;
    this.picture = new Picture(told, (path) => this.choose(path));
    fill(this.graph, scope ? this.#trail(scope) : null, this.picture.element);
    this.picture.show([...this.nodes.values()], false);
    this.picture.begun([...this.starts.values()]);
    this.#fillNodes(true);
    if (this.chosen) this.picture.select(this.chosen);
    performance.mark("loomgraph-picture");
  }

  // from the run's graph down to the one that is drawn
  #trail(scope) {
    const parts = scope.split("/");
    const ends = parts.map((part, at) => (part.startsWith("@") ? at + 1 : 0)).filter(Boolean);
    const step = (text, path) => h("li", {}, path === scope ? h("span", { "aria-current": "page" }, text) : h("button", { type: "button", class: "plain", onclick: () => this.#picture(path) }, text));
    return h("nav", { class: "trail", "aria-label": "Graphs around this one" }, h("ol", {}, step(this.state.run.graph, ""), ends.map((end, at) => step(named(parts.slice(ends[at - 1] ?? 0, end).join("/")), parts.slice(0, end).join("/")))));
  }

  // the graphs that a node ran with ctx.run, by path
  #scopes(path) { return [...this.starts.keys()].filter((one) => one.startsWith(`${path}/@`) && !one.slice(path.length + 2).includes("/")); }

  #draws(scope) { this.tab("Graph"); this.#picture(scope).then(() => this.graph.querySelector(".trail [aria-current]")?.scrollIntoView({ block: "nearest" })); }

  #nodeList() {
    this.listed = [];
    this.search = h("input", { type: "search", "aria-label": "Find nodes by name", placeholder: "find by name", oninput: () => this.#fillNodes(true) });
    this.state_ = h("select", { "aria-label": "Status", onchange: () => this.#fillNodes(true) }, h("option", { value: "" }, "any status"), Object.keys(SYMBOLS).filter((one) => one !== "suspended").map((one) => h("option", {}, one)));
    this.list = new LongList({
      label: "Nodes", heads: ["Node", "Status", "Activations", "Attempts", "Time"], widths: "minmax(10rem,3fr) 8rem 9rem 6rem 7rem",
      row: (node) => [named(node.path), badge(node.status), visits(node), node.attempts || "", node.seconds ? seconds(node.seconds) : ""],
      page: async (start, limit) => ({ total: this.listed.length, rows: this.listed.slice(start, start + limit) }), open: (node) => this.choose(node.path, true),
    });
    return [h("div", { class: "tools" }, this.search, this.state_), this.list.element];
  }

  #fillNodes(now = false) {
    if (!this.list || this.shown !== "Nodes") return;
    const fresh = () => {
      const idle = { counts: {}, items: {}, attempts: 0, seconds: 0, status: "idle" };
      const all = new Map((this.drawn?.nodes ?? []).filter((node) => node.path).map((node) => [node.path, { ...idle, path: node.path }]));
      for (const [path, node] of this.nodes) all.set(path, node);
      const text = this.search.value.toLowerCase();
      const status = this.state_.value;
      this.listed = [...all.values()].filter((node) => (!text || named(node.path).toLowerCase().includes(text)) && (!status || node.status === status));
      const top = this.list.body.scrollTop;
      const active = this.list.active;
      this.list.reload().then(() => { this.list.body.scrollTop = top; this.list.active = active; });
    };
    if (now) fresh(); else this.#slowly("nodes", fresh);
  }

  #timeline() {
    this.timeline = new Timeline(this.id, (path, key) => { if (key) this.#activation(key, path); else this.choose(path, true); });
    return this.timeline.element;
  }

  #eventList() {
    const kind = h("select", { "aria-label": "Kind of event", onchange: () => again() }, h("option", { value: "" }, "every kind"), KINDS.map((one) => h("option", {}, one)));
    const node = h("input", { type: "search", "aria-label": "Node or activation key", placeholder: "node or activation", onchange: () => again() });
    const total = h("span", { class: "faint", role: "status" });
    const again = () => { this.filtered = Boolean(kind.value || node.value); this.events.reload(); };
    this.filter = (path) => { node.value = path; kind.value = ""; this.tab("Events"); again(); };
    this.events = new LongList({
      label: "Events", heads: ["#", "Time", "Event", "Activation", "What"], widths: "4rem 5.5rem 10rem minmax(7rem,1.3fr) minmax(8rem,2fr)",
      row: (event) => [event.seq, `+${seconds(event.time - this.state.began) || "0"}`, event.kind, event.key, event.text],
      page: async (start, limit) => {
        const text = node.value.trim();
        const exact = /[#[!@]/.test(text);
        const told = await get("events", { run: this.id, start, limit, kind: kind.value, node: exact ? "" : text, key: exact ? text : "" });
        total.textContent = count(told.total, "event");
        return told;
      },
      open: (event) => this.#event(event),
    });
    return [h("div", { class: "tools" }, kind, node, total), this.events.element];
  }

  // ------------------------------------------------------------------ what is chosen

  choose(path, focus = false) {
    this.chosen = path;
    this.activations = null;
    if (!path) { fill(this.detail, h("p", { class: "hint faint" }, "Choose a node, a bar or an event to see what it was given, what it gave, and what happened.")); return; }
    this.picture?.select(path);
    const node = this.nodes.get(path);
    const back = this.asks.hidden ? null : h("button", { type: "button", class: "plain", onclick: () => { this.asks.scrollIntoView({ block: "start" }); this.asks.querySelector("input,select,textarea,button")?.focus({ preventScroll: true }); } }, "↑ What the run asks");
    const facts = node ? [badge(node.status), ` ${overlay(node).slice(2).replace(node.status, "").replace(/^done$/, "").trim()}`, node.attempts > 1 ? `, ${count(node.attempts, "attempt")}` : ""] : this.picture?.standsFor(path).length ? ["This box stands for several nodes."] : [badge("idle"), " The run never came here."];
    fill(this.detail, back, h("h2", {}, named(path)), h("p", {}, facts), node ? h("div", { class: "tools" }, h("button", { type: "button", onclick: () => this.filter(path) }, "Its events")) : null);
    if (focus) this.detail.focus();
    this.#reveal();
    const parts = this.picture?.standsFor(path) ?? [];
    const inside = parts.length ? parts : [...this.nodes.values()].filter((one) => one.path.startsWith(`${path}/@`));
    const scopes = this.#scopes(path);
    if (scopes.length) {
      this.detail.append(h("h3", {}, scopes.length === 1 ? "The graph that it ran" : `${count(scopes.length, "graph")} that it ran`), h("ul", { class: "inside" }, scopes.slice(0, 100).map((scope) => {
        const times = this.starts.get(scope).count;
        return h("li", {}, h("button", { type: "button", onclick: () => this.#draws(scope) }, "Draw ", h("code", {}, named(scope.slice(path.length + 2)))), times > 1 ? h("span", { class: "faint" }, ` ran ${times.toLocaleString("en")} times; the last one is drawn`) : null);
      })));
    }
    if (inside.length) {
      this.detail.append(h("details", { open: parts.length > 0 }, h("summary", {}, parts.length ? count(parts.length, "node") : `${count(inside.length, "node")} in the graphs that it ran`),
        h("ul", { class: "inside" }, inside.slice(0, 200).map((one) => h("li", {}, badge(one.status), " ", h("button", { type: "button", onclick: () => this.choose(one.path, true) }, named(parts.length ? one.path.split("/").at(-1) : one.path.slice(path.length + 1))))))));
    }
    if (!node) return;
    const status = h("select", { "aria-label": "Status of activations", onchange: () => this.activations.reload() }, h("option", { value: "" }, "any status"), Object.keys({ ...node.counts, ...node.items }).map((one) => h("option", {}, one)));
    this.activations = new LongList({
      label: `Activations of ${named(path)}`, heads: ["Activation", "Status", "Tries", "Time"], widths: "minmax(7rem,1fr) 7.5rem 3.5rem 5.5rem",
      row: (one) => [one.key, badge(one.status), one.origin === "run" ? one.attempts : one.origin, seconds(one.seconds)],
      page: async (start, limit) => {
        const told = await get("activations", { run: this.id, node: path, status: status.value, start, limit });
        if (told.total === 1 && start === 0 && !status.value) this.#activation(told.rows[0].key, path, true);
        return told;
      },
      open: (one) => this.#activation(one.key, path),
    });
    this.one = h("div", {});
    const many = this.#number(path) > 1;
    this.activations.element.hidden = !many;
    this.detail.append(h("h3", { hidden: !many }, "Activations ", status), this.activations.element, this.one);
    this.activations.reload();
  }

  // where a long question stands above it, what was chosen comes into sight
  #reveal() { if (!this.asks.hidden) this.detail.scrollIntoView({ block: "start" }); }

  async #activation(key, path, alone = false) {
    if (this.chosen !== path) this.choose(path);
    const place = this.one;
    const told = await get("activation", { run: this.id, key });
    const tries = told.tries.map((one) => h("li", {}, `attempt ${one.attempt}: ${one.how}`, one.ended ? ` after ${seconds(one.ended - one.started)}` : "", one.wait === null ? "" : `, tried again ${seconds(one.wait)} later`, one.failure ? h("pre", { class: "wrong" }, `${one.failure.error}: ${one.failure.message}`) : null));
    const from = told.origin === "run" ? (told.cached ? "Its answer came from a cache." : "") : `Its answer was ${told.origin}, no code ran.`;
    fill(place, h("h3", {}, alone ? "Activation " : "", h("code", {}, key), " ", badge(told.status)), from ? h("p", {}, from) : null,
      told.started ? h("p", { class: "faint" }, `started ${moment(told.started)}, +${seconds(told.started - this.state.began) || "0"}`, told.seconds === null ? "" : `, took ${seconds(told.seconds)}`) : null,
      tries.length ? h("ol", { class: "tries" }, tries) : null, Object.keys(told.amounts).length ? h("p", {}, "used ", h("code", {}, JSON.stringify(told.amounts))) : null,
      told.status === "skipped" ? null : this.#value(key, "input", "Input"), told.status === "succeeded" ? this.#value(key, "output", "Output") : null,
      h("div", { class: "tools" }, h("button", { type: "button", onclick: () => this.filter(key) }, count(told.events, "event")), h("button", { type: "button", onclick: () => this.#fork(key) }, "Fork from here")));
  }

  #value(key, what, title) {
    const place = h("div", { class: "value" }, h("p", { class: "faint" }, "reading…"));
    get("value", { run: this.id, key, what }).then((told) => {
      const get_ = h("a", { href: address("value", { run: this.id, key, what, download: 1 }), download: true }, "download");
      fill(place, h("pre", { tabindex: "0", "aria-label": title }, told.text), told.cut ? h("p", {}, `the first of ${told.size.toLocaleString("en")} characters; `, get_) : null);
    }, (error) => fill(place, h("p", { class: "wrong" }, error.message)));
    return [h("h4", {}, title), place];
  }

  #run() {
    this.chosen = null;
    fill(this.detail, h("h2", {}, "The run"), this.#value("", "input", "Input"), this.state.run.status === "succeeded" ? this.#value("", "output", "Output") : h("p", { class: "faint" }, "It has no output yet."));
    this.detail.focus();
    this.#reveal();
  }

  async #event(event) {
    this.chosen = null;
    const told = await get("event", { run: this.id, seq: event.seq });
    fill(this.detail, h("h2", {}, `Event ${event.seq}: ${event.kind}`), event.key ? h("p", {}, h("code", {}, event.key)) : null, h("p", { class: "faint" }, moment(event.time)),
      h("pre", { tabindex: "0", "aria-label": "The event" }, told.text), told.cut ? h("p", {}, `the first of ${told.size.toLocaleString("en")} characters`) : null,
      h("div", { class: "tools" }, h("button", { type: "button", onclick: () => this.#fork(event.seq) }, "Fork after this event")));
  }

  // ------------------------------------------------------------------ fork

  async #fork(at) {
    const keyed = typeof at === "string";
    const id = h("input", { name: "id", placeholder: "made if left out", autocomplete: "off" });
    const goes = h("input", { type: "checkbox", checked: this.state.code, disabled: !this.state.code });
    const wrong = h("p", { class: "wrong", role: "alert" });
    const editors = {};
    const editor = (what, title) => {
      const area = h("textarea", { rows: 8, spellcheck: "false", disabled: !this.state.code });
      editors[what] = { area, before: null };
      get("value", { run: this.id, key: keyed ? at : "", what }).then((told) => { if (!told.cut) { area.value = told.text; editors[what].before = told.text; } else area.placeholder = "too long to be edited here"; }, () => {});
      return h("label", { class: "field" }, title, area);
    };
    const edits = keyed ? [editor("output", "What it gave"), editor("input", "What it was given")] : at === null ? [editor("input", "The run's input")] : [];
    const dialog = h("dialog", { "aria-labelledby": "fork-title" });
    const changed = (what) => { const made = editors[what]; return made && made.area.value.trim() && made.area.value !== made.before ? JSON.parse(made.area.value) : undefined; };
    const form = h("form", {
      novalidate: true, onsubmit: async (event) => {
        event.preventDefault();
        wrong.textContent = "";
        try {
          const inputs = {}; const outputs = {};
          const given = changed("input"); const gave = changed("output");
          if (given !== undefined) inputs[keyed ? at : "START"] = given;
          if (gave !== undefined) outputs[keyed ? at : ""] = gave;
          // with an input edited the rest of the log is of use; what is the same in it is taken over
          const edited = given !== undefined && gave === undefined;
          const told = await post("fork", { run: this.id, at: edited && keyed ? null : at, id: id.value.trim() || null, inputs, outputs, resume: goes.checked });
          dialog.close();
          say(told.done);
          location.hash = link(told.run);
          if (told.problem) setTimeout(() => alarm(told.problem), 300);
        } catch (error) { wrong.textContent = error instanceof SyntaxError ? `That is not JSON: ${error.message}` : error.message; }
      },
    }, h("h2", { id: "fork-title" }, keyed ? `Fork at ${at}` : at === null ? "Fork the whole run" : `Fork after event ${at}`),
    h("p", { class: "faint" }, "A new run begins as this one did. What you change here runs anew with all that follows from it; the rest is taken over. This run stays as it is.", this.state.code ? "" : " To edit values, start the page with the graph's code: --graph MODULE:WORKFLOW."),
    edits, h("label", { class: "field" }, "Id of the new run", id), h("label", { class: "inline" }, goes, "resume it at once"), wrong,
    h("div", { class: "tools" }, h("button", { class: "main" }, "Fork"), h("button", { type: "button", onclick: () => dialog.close() }, "Leave")));
    dialog.append(form);
    this.#open(dialog);
  }
}

export async function run(main, id, given) {
  const page = new Page(main, id, given);
  fill(main, h("h1", {}, id), h("p", { class: "faint", role: "status" }, "reading…"));
  await page.start();
  return () => page.stop();
}
