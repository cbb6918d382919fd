// Questions to the server this page came from. A refusal is an Error with the server's own sentence.

async function read(response) {
  if (response.status === 401) throw new Error("This page is not allowed in any more: the server was started anew. Open the address that it printed.");
  let told;
  try { told = await response.json(); } catch { throw new Error(`The server answered ${response.status} ${response.statusText}.`); }
  if (!response.ok) throw Object.assign(new Error(told.message), { kind: told.error, problem: told.problem, status: response.status });
  return told;
}

const unreachable = () => { throw new Error("The server does not answer. Is `loomgraph ui` still running?"); };

export function address(name, query = {}) {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") given.append(key, one);
    }
  }
  return `/api/${name}?${given}`;
}

export const get = async (name, query) => read(await fetch(address(name, query)).catch(unreachable));

export const post = async (name, body) => read(await fetch(`/api/${name}`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
}).catch(unreachable));
