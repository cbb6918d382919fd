// Reads one JSON object a line, {"text": ..., "config": {...}}, and answers each with one line: what the real mermaid
// package understood, or {"error": ...}. Draws nothing: layout needs a browser.
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

const dom = new JSDOM("<!doctype html><body></body>");
globalThis.window = dom.window;
globalThis.document = dom.window.document;
const { default: mermaid } = await import("mermaid");

async function understood({ text, config }) {
  mermaid.mermaidAPI.globalReset();
  mermaid.initialize({ startOnLoad: false, ...config });
  await mermaid.parse(text);
  // the same again, to see what it understood; only parse() takes comments out itself
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(text.replace(/^%%.*\n/gm, ""));
  if (db.getActorKeys) {
    return {
      actors: db.getActorKeys().map((key) => ({ id: key, text: db.getActors().get(key).description })),
      messages: db.getMessages().map((m) => ({ from: m.from, to: m.to, text: m.message, type: m.type })),
    };
  }
  return {
    vertices: [...db.getVertices().values()].map((v) => ({ id: v.id, text: v.text, shape: v.type, classes: v.classes })),
    edges: db.getEdges().map((e) => ({ start: e.start, end: e.end, text: e.text, stroke: e.stroke })),
    subgraphs: db.getSubGraphs().map((s) => ({ id: s.id, nodes: s.nodes, classes: s.classes })),
    classes: [...db.getClasses().keys()],
  };
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let answer;
  try {
    answer = await understood(JSON.parse(line));
  } catch (error) {
    answer = { error: String(error?.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
