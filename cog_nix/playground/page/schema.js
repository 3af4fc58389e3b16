// What an OpenAPI document of Cog's says of inputs, and whether values fit it.

/** Follow references and put the parts of allOf together. */
export function resolve(schema, root) {
  let found = schema ?? {};
  if (found.$ref) {
    const named = found.$ref.replace(/^#\//, "").split("/").reduce((at, key) => at?.[key], root);
    return resolve({ ...(named ?? {}), ...without(found, "$ref") }, root);
  }
  if (found.allOf) {
    const parts = found.allOf.map((part) => resolve(part, root));
    found = Object.assign({}, ...parts, without(found, "allOf"));
  }
  return found;
}

function without(object, key) {
  const { [key]: _, ...rest } = object;
  return rest;
}

/** The inputs of a model in their order: [name, schema, required]. */
export function inputs(root, component) {
  const schema = root.components?.schemas?.[component];
  if (!schema) return [];
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {})
    .map(([name, part]) => [name, resolve(part, root), required.has(name)])
    .sort(([, a], [, b]) => (a["x-order"] ?? 0) - (b["x-order"] ?? 0));
}

/** The sentences about what is wrong with the inputs, by name. */
export function problems(values, root, component) {
  const found = new Map();
  const known = inputs(root, component);
  const names = new Set(known.map(([name]) => name));
  for (const name of Object.keys(values)) {
    if (!names.has(name)) found.set(name, `there is no input "${name}"`);
  }
  for (const [name, schema, required] of known) {
    if (values[name] === undefined) {
      if (required) found.set(name, "is required");
      continue;
    }
    const problem = mismatch(values[name], schema, root);
    if (problem) found.set(name, problem);
  }
  return found;
}

/** What is wrong with a value; undefined: nothing. */
export function mismatch(value, given, root) {
  const schema = resolve(given, root);
  if (value === null) return schema.nullable || schema.type === "null" ? undefined : "must not be null";
  const either = schema.anyOf ?? schema.oneOf;
  if (either) {
    const reasons = either.map((part) => mismatch(value, part, root));
    return reasons.includes(undefined) ? undefined : reasons[0];
  }
  if (schema.enum && !schema.enum.some((one) => same(one, value))) {
    return `must be one of: ${schema.enum.join(", ")}`;
  }
  return ofType(value, schema) ?? limits(value, schema, root);
}

export function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

function ofType(value, { type }) {
  const kind = Array.isArray(value) ? "array" : typeof value;
  const right = {
    string: kind === "string",
    integer: Number.isInteger(value),
    number: kind === "number" && Number.isFinite(value),
    boolean: kind === "boolean",
    array: kind === "array",
    object: kind === "object",
  }[type];
  return right === false ? `must be ${/^[aio]/.test(type) ? "an" : "a"} ${type}` : undefined;
}

function limits(value, schema, root) {
  if (typeof value === "number") {
    if (schema.minimum !== undefined && value < schema.minimum) return `must be at least ${schema.minimum}`;
    if (schema.maximum !== undefined && value > schema.maximum) return `must be at most ${schema.maximum}`;
  } else if (typeof value === "string") {
    const length = [...value].length;
    if (schema.minLength !== undefined && length < schema.minLength) return `must have at least ${schema.minLength} characters`;
    if (schema.maxLength !== undefined && length > schema.maxLength) return `must have at most ${schema.maxLength} characters`;
    if (schema.pattern && !matches(value, schema.pattern)) return `must match ${schema.pattern}`;
  } else if (Array.isArray(value) && schema.items) {
    for (const [index, item] of value.entries()) {
      const problem = mismatch(item, schema.items, root);
      if (problem) return `item ${index + 1} ${problem}`;
    }
  }
  return undefined;
}

function matches(value, pattern) {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true; // a pattern that only the model understands
  }
}
