// Speaks to the model through the playground's server.

/** So long, in ms, a model may answer 409 although what it did before has ended: then it is busy with something else. */
const BUSY_FOR = 500;
const BUSY_EVERY = 50;

function pause() {
  return new Promise((done) => { setTimeout(done, BUSY_EVERY); });
}

export class Api {
  constructor(target) {
    this.target = target;
  }

  async ask(path, options = {}) {
    const headers = { "X-Cog-Target": this.target, ...options.headers };
    const response = await fetch(`/proxy${path}`, { redirect: "manual", cache: "no-store", ...options, headers });
    if (response.type === "opaqueredirect") throw new Error("the model answers with a redirect, which is not followed");
    return response;
  }

  async json(path) {
    const response = await this.ask(path);
    const body = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(body.error ?? `${path}: ${response.status}`);
    return body;
  }

  /** Ask for a prediction or a training. `way`: sync, stream or async. */
  async create(kind, body, way, id, signal) {
    const headers = { "Content-Type": "application/json" };
    if (way === "stream") headers.Accept = "text/event-stream";
    if (way === "async") headers.Prefer = "respond-async";
    const path = id ? `/${kind}/${encodeURIComponent(id)}` : `/${kind}`;
    const asked = performance.now();
    for (;;) {
      const response = await this.ask(path, { method: id ? "PUT" : "POST", headers, body: JSON.stringify(body), signal });
      if (response.status !== 409 || performance.now() - asked > BUSY_FOR) return response;
      await response.body?.cancel();
      await pause();
    }
  }

  /** Cancel, also what the model does not know yet because it is still busy; tell whether there is nothing more to do. */
  async cancel(kind, id, ended) {
    const asked = performance.now();
    for (;;) {
      const response = await this.ask(`/${kind}/${encodeURIComponent(id())}/cancel`, { method: "POST" }).catch(() => undefined);
      if (response?.ok || ended()) return true;
      if (performance.now() - asked > 2 * BUSY_FOR) return false;
      await pause();
    }
  }
}

/** The model's own headers, as the server hands them on. */
export function upstreamHeaders(response) {
  const encoded = response.headers.get("X-Cog-Upstream-Headers");
  if (!encoded) return {};
  try {
    const bytes = Uint8Array.from(atob(encoded.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

/** Yield the events of a stream as [name, data] (HTML, "Server-sent events"). */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      let name = "message";
      const data = [];
      for (const line of block.split(/\r?\n/)) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      }
      if (data.length) yield [name, JSON.parse(data.join("\n"))];
    }
    if (done) return;
  }
}

/** Wait for webhooks under a token; resolves to what ends the waiting once nothing can be missed. */
export function webhooks(token, received) {
  return new Promise((ready, failed) => {
    const source = new EventSource(`/events?token=${encodeURIComponent(token)}`);
    source.onopen = () => ready(() => source.close());
    source.onerror = () => failed(new Error("the playground's server does not answer"));
    source.onmessage = (event) => received(JSON.parse(event.data));
  });
}
