// A form for the inputs of a model. An empty field is an input that is not sent.
import { inputs, resolve, same } from "./schema.js";

const LARGEST_FILE = 16 * 1024 * 1024;

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Fill a form with a field for each input. Returns `values()`, `fill(values)` and `tell(problems)`. */
export function build(form, root, component, changed) {
  const fields = inputs(root, component).map(([name, schema, required]) => field(name, schema, required, root, changed));
  form.replaceChildren(...fields.map(({ block }) => block));
  if (!fields.length) form.append(element("p", {}, "This model takes no inputs."));
  return {
    values() {
      const found = {};
      for (const { name, read } of fields) {
        const value = read();
        if (value !== undefined) found[name] = value;
      }
      return found;
    },
    /** The values that are not those the form began with. */
    edited() {
      return Object.fromEntries(fields.filter(({ read, began }) => !same(read(), began)).map(({ name, read }) => [name, read()]));
    },
    fill(values) {
      for (const { name, write } of fields) write(values[name]);
    },
    tell(problems) {
      for (const { name, error, control } of fields) {
        error.textContent = problems.has(name) ? `${name} ${problems.get(name)}` : "";
        control.setAttribute("aria-invalid", String(problems.has(name)));
      }
      const first = fields.find(({ name }) => problems.has(name));
      return first?.control;
    },
  };
}

function field(name, schema, required, root, changed) {
  const id = `input-${name}`;
  const kind = kindOf(schema, root);
  const made = { choice, flag, number, file, text, json }[kind.control](id, kind.schema, required);
  const error = element("p", { class: "error", id: `${id}-error`, role: "alert" });
  const about = element("p", { id: `${id}-about` }, describe(schema, kind.schema));
  made.control.id = id;
  made.control.setAttribute("aria-describedby", `${id}-about ${id}-error`);
  if (required) made.control.required = true;
  made.block ??= made.control;
  made.block.addEventListener("input", changed);
  made.block.addEventListener("change", changed);
  const label = element("label", { for: id }, name, " ", element("span", { class: "kind" }, kind.title + (required ? ", required" : "")));
  const block = element("div", { class: "field" }, label, about, made.block, error);
  made.write(schema.default);
  return { name, block, error, control: made.control, began: made.read(), read: made.read, write: (value) => made.write(value === undefined ? schema.default : value) };
}

function kindOf(schema, root) {
  const real = (schema.anyOf ?? schema.oneOf ?? []).map((part) => resolve(part, root)).filter((part) => part.type !== "null");
  const one = real.length === 1 ? { ...schema, ...real[0] } : schema;
  if (real.length > 1) return { control: "json", schema: one, title: "JSON" };
  if (one.enum) return { control: "choice", schema: one, title: "choice" };
  if (one.type === "boolean") return { control: "flag", schema: one, title: "yes or no" };
  if (one.type === "integer" || one.type === "number") return { control: "number", schema: one, title: one.type };
  if (one.type === "string" && one.format === "uri") return { control: "file", schema: one, title: "file" };
  if (one.type === "string") return { control: "text", schema: one, title: one.format === "password" ? "secret" : "text" };
  return { control: "json", schema: one, title: one.type === "array" ? "list, as JSON" : "JSON" };
}

function describe(schema, one) {
  const told = [schema.description ?? ""];
  if (one.minimum !== undefined) told.push(`At least ${one.minimum}.`);
  if (one.maximum !== undefined) told.push(`At most ${one.maximum}.`);
  if (one.minLength !== undefined) told.push(`At least ${one.minLength} characters.`);
  if (one.maxLength !== undefined) told.push(`At most ${one.maxLength} characters.`);
  if (one.pattern) told.push(`As ${one.pattern}.`);
  if (schema.default !== undefined && schema.default !== null) told.push(`Default: ${JSON.stringify(schema.default)}.`);
  return told.filter(Boolean).join(" ");
}

function choice(_id, schema, required) {
  const control = element("select");
  if (!required || schema.default === undefined) control.append(element("option", { value: "" }, ""));
  schema.enum.forEach((one, index) => control.append(element("option", { value: String(index) }, String(one))));
  return {
    control,
    read: () => (control.value === "" ? undefined : schema.enum[Number(control.value)]),
    write(value) {
      const index = schema.enum.findIndex((one) => one === value);
      control.value = index < 0 ? "" : String(index);
    },
  };
}

function flag(_id, schema, required) {
  if (!required && schema.default === undefined) return choice(_id, { ...schema, enum: [true, false] }, required);
  const control = element("input", { type: "checkbox" });
  return { control, read: () => control.checked, write: (value) => { control.checked = value === true; } };
}

function number(_id, schema) {
  const control = element("input", { type: "number", step: schema.type === "integer" ? "1" : "any" });
  if (schema.minimum !== undefined) control.min = schema.minimum;
  if (schema.maximum !== undefined) control.max = schema.maximum;
  return {
    control,
    read: () => (control.value === "" ? (control.validity.badInput ? NaN : undefined) : Number(control.value)),
    write: (value) => { control.value = value ?? ""; },
  };
}

function text(_id, schema) {
  const secret = schema.format === "password";
  const control = secret ? element("input", { type: "password", autocomplete: "off" }) : element("textarea", { rows: "2" });
  let touched = false;
  control.addEventListener("input", () => { touched = true; });
  return {
    control,
    read: () => (control.value === "" && !(touched && schema.default !== undefined) ? undefined : control.value),
    write(value) { control.value = value ?? ""; touched = false; },
  };
}

function json(_id, schema) {
  const control = element("textarea", { rows: "3", spellcheck: "false" });
  control.placeholder = schema.type === "array" ? '["…"]' : "";
  return {
    control,
    read() {
      if (control.value.trim() === "") return undefined;
      try { return JSON.parse(control.value); } catch { return control.value; }
    },
    write: (value) => { control.value = value === undefined || value === null ? "" : JSON.stringify(value); },
  };
}

function file(id, _schema) {
  const control = element("input", { type: "text", placeholder: "https://… or a file", spellcheck: "false" });
  const picker = element("input", { type: "file", "aria-label": `file for ${id.replace("input-", "")}` });
  const note = element("p", { role: "status" });
  let chosen;
  picker.addEventListener("change", async () => {
    const [one] = picker.files;
    if (!one) return;
    if (one.size > LARGEST_FILE) {
      note.textContent = `${one.name} has ${(one.size / 1048576).toFixed(1)} MiB; up to 16 MiB can be sent from here. Give a URL.`;
      picker.value = "";
      return;
    }
    chosen = await dataUri(one);
    control.value = "";
    control.placeholder = one.name;
    note.textContent = `${one.name}, ${one.size} bytes`;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  });
  control.addEventListener("input", () => { if (control.value) { chosen = undefined; picker.value = ""; note.textContent = ""; } });
  return {
    control,
    block: element("div", {}, control, element("div", { class: "file" }, picker), note),
    read: () => control.value || chosen,
    write(value) { control.value = value?.startsWith?.("data:") ? "" : value ?? ""; chosen = value?.startsWith?.("data:") ? value : undefined; },
  };
}

function dataUri(one) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(one);
  });
}
