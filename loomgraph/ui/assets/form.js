// A form for what a JSON schema describes. What the form cannot say is written as JSON; the server checks either.
import { h, fill } from "./dom.js";

const DEEP = 6;
let number = 0;

function resolved(schema, root) {
  let found = schema === true || schema === undefined ? {} : schema;
  for (let steps = 0; found.$ref && steps < 20; steps++) {
    const place = found.$ref.replace(/^#\//, "").split("/").filter(Boolean);
    const target = place.reduce((at, part) => at?.[decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")], root);
    const { $ref, ...rest } = found;
    found = { ...(target ?? {}), ...rest };
  }
  if (found.allOf?.length === 1) { const { allOf, ...rest } = found; return resolved({ ...allOf[0], ...rest }, root); }
  return found;
}

const kind = (schema) => (Array.isArray(schema.type) ? null : schema.type);

function titled(schema, root) {
  const found = resolved(schema, root);
  if (found.title) return found.title;
  if ("const" in found) return JSON.stringify(found.const);
  return kind(found) ?? "a value";
}

function labelled(label, schema, input, required) {
  const id = `field-${++number}`;
  input.id = id;
  const about = schema.description ? h("small", { id: `${id}-about` }, schema.description) : null;
  if (about) input.setAttribute("aria-describedby", about.id);
  return h("div", { class: "field" }, h("label", { for: id }, label, required ? null : h("span", { class: "faint" }, " (optional)")), input, about);
}

// each maker gives {element, value()}; value() throws an Error that says what is missing
function raw(label, schema, required, start) {
  const input = h("textarea", { rows: 4, spellcheck: "false", placeholder: "JSON" });
  if (start !== undefined) input.value = JSON.stringify(start, null, 2);
  return {
    element: labelled(`${label} as JSON`, schema, input, required),
    value: () => {
      if (!input.value.trim()) { if (required) throw new Error(`${label} is missing.`); return undefined; }
      try { return JSON.parse(input.value); } catch (error) { throw new Error(`${label} is not JSON: ${error.message}. A text has quotes of its own: "like this".`); }
    },
  };
}

function choice(label, schema, values, required) {
  const select = h("select", {}, required && schema.default === undefined ? h("option", { value: "" }, "choose…") : required ? null : h("option", { value: "" }, "—"),
    values.map((value, at) => h("option", { value: at, selected: value === schema.default }, typeof value === "string" ? value : JSON.stringify(value))));
  return {
    element: labelled(label, schema, select, required),
    value: () => {
      if (select.value === "") { if (required) throw new Error(`${label} is missing.`); return undefined; }
      return values[Number(select.value)];
    },
  };
}

function yesNo(label, schema, required) {
  const name = `choice-${++number}`;
  const option = (text, value) => h("label", { class: "inline" }, h("input", { type: "radio", name, value, checked: schema.default === (value === "true") }), text);
  const group = h("fieldset", { class: "field" }, h("legend", {}, label, required ? null : h("span", { class: "faint" }, " (optional)")), option("yes", "true"), option("no", "false"),
    schema.description ? h("small", {}, schema.description) : null);
  return {
    element: group,
    value: () => {
      const chosen = group.querySelector("input:checked");
      if (!chosen) { if (required) throw new Error(`${label}: say yes or no.`); return undefined; }
      return chosen.value === "true";
    },
  };
}

function text(label, schema, required) {
  const types = { date: "date", time: "time", email: "email", uri: "url" };
  const long = (schema.maxLength ?? 1000) > 200 && !schema.format;
  const input = long ? h("textarea", { rows: 1 }) : h("input", { type: types[schema.format] ?? "text" });
  if (schema.default !== undefined && schema.default !== null) input.value = schema.default;
  return {
    element: labelled(label, schema, input, required),
    value: () => {
      if (input.value === "" && !required) return undefined;
      return input.value;
    },
  };
}

function numeric(label, schema, required) {
  const input = h("input", { type: "number", step: kind(schema) === "integer" ? 1 : "any", min: schema.minimum, max: schema.maximum });
  if (schema.default !== undefined && schema.default !== null) input.value = schema.default;
  return {
    element: labelled(label, schema, input, required),
    value: () => {
      if (input.value === "") { if (required || input.validity.badInput) throw new Error(`${label} is missing, or no number.`); return undefined; }
      return Number(input.value);
    },
  };
}

function object(label, schema, root, required, deep) {
  const must = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(([name, inner]) => {
    const found = resolved(inner, root);
    return [name, field(found.title ?? name, inner, root, must.has(name), deep + 1)];
  });
  const body = fields.map(([, made]) => made.element);
  const about = schema.description ? h("small", {}, schema.description) : null;
  return {
    element: deep ? h("fieldset", { class: "field" }, h("legend", {}, label), about, body) : h("div", {}, about, body),
    value: () => {
      const said = {};
      for (const [name, made] of fields) { const value = made.value(); if (value !== undefined) said[name] = value; }
      return !required && deep && Object.keys(said).length === 0 ? undefined : said;
    },
  };
}

function array(label, schema, root, required, deep) {
  const items = [];
  const place = h("div", {});
  const add = () => {
    const made = field(`${label} ${items.length + 1}`, schema.items ?? {}, root, true, deep + 1);
    const line = h("div", { class: "item" }, made.element, h("button", { type: "button", onclick: () => { items.splice(items.indexOf(made), 1); line.remove(); } }, "Remove"));
    items.push(made);
    place.append(line);
    return line;
  };
  for (let at = 0; at < (schema.minItems ?? 0); at++) add();
  return {
    element: h("fieldset", { class: "field" }, h("legend", {}, label), place, h("button", { type: "button", onclick: () => add().querySelector("input,textarea,select")?.focus() }, "Add one")),
    value: () => (items.length === 0 && !required ? undefined : items.map((made) => made.value())),
  };
}

function variants(label, schema, options, root, required, deep) {
  const id = `field-${++number}`;
  const select = h("select", { id, onchange: () => show() }, options.map((option, at) => h("option", { value: at }, titled(option, root))));
  const place = h("div", {});
  let made;
  function show() {
    made = field(label, options[Number(select.value)], root, required, deep + 1);
    fill(place, made.element);
  }
  show();
  return {
    element: h("fieldset", { class: "field" }, h("legend", {}, label), h("label", { for: id }, "which "), select, place),
    value: () => made.value(),
  };
}

function field(label, given, root, required, deep) {
  const schema = resolved(given, root);
  if (deep > DEEP) return raw(label, schema, required);
  if ("const" in schema) return { element: h("p", { class: "field" }, `${label}: ${JSON.stringify(schema.const)}`), value: () => schema.const };
  if (schema.enum) return choice(label, schema, schema.enum, required);
  const options = schema.anyOf ?? schema.oneOf;
  if (options) {
    const real = options.filter((option) => resolved(option, root).type !== "null");
    if (real.length === 1) return field(label, { ...resolved(real[0], root), title: schema.title, description: schema.description }, root, false, deep);
    if (real.every((option) => "const" in resolved(option, root))) return choice(label, schema, real.map((option) => resolved(option, root).const), required && real.length === options.length);
    return variants(label, schema, options, root, required, deep);
  }
  switch (kind(schema)) {
    case "boolean": return yesNo(label, schema, required);
    case "string": return text(label, schema, required);
    case "integer": case "number": return numeric(label, schema, required);
    case "null": return { element: h("p", { class: "field" }, `${label}: nothing`), value: () => null };
    case "array": return schema.prefixItems ? raw(label, schema, required) : array(label, schema, root, required, deep);
    case "object": return schema.properties ? object(label, schema, root, required, deep) : raw(label, schema, required);
    default: return raw(label, schema, required, schema.default);
  }
}

// {element, value()} for a schema, with a way to write JSON instead
export function schemaForm(schema) {
  const root = schema ?? {};
  const nullable = (root.anyOf ?? []).some((option) => resolved(option, root).type === "null");
  const typed = field(root.title ?? "Answer", root, root, !nullable, 0);
  const json = raw("The answer", {}, true);
  const box = h("input", { type: "checkbox" });
  const place = h("div", {}, typed.element);
  box.addEventListener("change", () => fill(place, box.checked ? json.element : typed.element));
  return {
    element: h("div", {}, place, h("label", { class: "inline faint" }, box, "write JSON instead")),
    value: () => { const said = box.checked ? json.value() : typed.value(); return said === undefined ? null : said; },
  };
}
