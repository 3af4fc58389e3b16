// The page: connects to a model, keeps its state on show, and runs one prediction or training at a time.
import { Api, events, upstreamHeaders, webhooks } from "./api.js";
import { build, element } from "./form.js";
import { show, shortened } from "./output.js";
import { problems, resolve, same } from "./schema.js";

const HEALTH_EVERY = 2000;
const at = (id) => document.getElementById(id);
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
const component = (kind, what) => (kind === "trainings" ? `Training${what}` : what);

let api;
let config = {};
let root;
/** When the setup began of the model whose document is shown. */
let began;
let form;
let running;

async function begin() {
  theme(localStorage.getItem("theme"));
  config = await (await fetch("/config")).json();
  at("version").textContent = `cog-nix ${config.cogVersion}`;
  at("target").value = config.target;
  connect(config.target);
  watch();
}

function connect(target) {
  api = new Api(target);
  root = began = undefined;
  at("send").disabled = true;
  at("fields").replaceChildren();
  describe();
}

/** Read the document of a model whose setup began at a moment. */
async function describe(started) {
  const asked = api;
  try {
    const found = await asked.json("/openapi.json");
    if (asked !== api) return;
    complain("");
    began = started;
    if (!same(found, root)) take(found);
    at("send").disabled = Boolean(running);
  } catch (error) {
    if (asked === api) complain(`${asked.target}: ${error.message}`);
  }
}

/** Show the inputs of a document; what was edited in the form of the one before stays. */
function take(found) {
  const edited = root ? form.edited() : {};
  const typed = at("json").value;
  const typing = root && chosen("editor") === "json";
  root = found;
  at("kind").hidden = !root.components?.schemas?.TrainingInput;
  if (at("kind").hidden) document.querySelector('input[name="kind"][value="predictions"]').checked = true;
  fields();
  form.fill(edited);
  at("json").value = typing ? typed : JSON.stringify(form.values(), null, 2);
}

function fields() {
  form = build(at("fields"), root, component(chosen("kind"), "Input"), checked);
  at("json").value = JSON.stringify(form.values(), null, 2);
  at("json-error").textContent = "";
}

async function watch() {
  const asked = api;
  let text = "unreachable";
  let started;
  try {
    const health = await asked.json("/health-check");
    text = health.status;
    const { setup, version } = health;
    started = setup?.started_at;
    at("setup").querySelector("pre").textContent = [JSON.stringify({ version, setup: { ...setup, logs: undefined } }, null, 2), setup?.logs ?? ""].join("\n");
    if (health.user_healthcheck_error) text += `: ${health.user_healthcheck_error}`;
  } catch {
    // told by the word
  }
  if (asked === api) {
    const [word] = text.split(":");
    const before = at("health").dataset.health;
    at("health").dataset.health = word;
    at("health-text").textContent = text;
    const restarted = started && started !== began;
    if (word !== "unreachable" && (root ? restarted : before !== word || restarted)) describe(started);
  }
  notice();
  setTimeout(watch, HEALTH_EVERY);
}

/** Show what `serve --watch` says of the source. */
async function notice() {
  const told = await fetch("/config").then((response) => response.json(), () => ({}));
  at("notice").textContent = told.notice ?? "";
  at("notice").hidden = !told.notice;
}

/** The inputs as they are edited now; undefined where the JSON is none. */
function values() {
  if (chosen("editor") === "form") return form.values();
  try {
    const found = JSON.parse(at("json").value || "{}");
    if (typeof found !== "object" || found === null || Array.isArray(found)) throw new Error("the input is an object");
    return found;
  } catch (error) {
    at("json-error").textContent = error.message;
    return undefined;
  }
}

/** Show what is wrong with the inputs; returns them where nothing is. */
function checked() {
  at("json-error").textContent = "";
  const given = values();
  if (!given || !root) return undefined;
  const found = problems(given, root, component(chosen("kind"), "Input"));
  if (chosen("editor") === "form") form.tell(found);
  else at("json-error").textContent = [...found].map(([name, problem]) => `${name} ${problem}`).join("; ");
  return found.size ? undefined : given;
}

async function send() {
  const input = checked();
  if (!input) {
    (chosen("editor") === "form" ? document.querySelector('#fields [aria-invalid="true"]') : at("json"))?.focus();
    return;
  }
  const kind = chosen("kind");
  const given = at("id").value.trim();
  running = new Run(kind, given || crypto.randomUUID(), Boolean(given));
  at("send").disabled = true;
  at("cancel").disabled = false;
  try {
    await running.go(input, chosen("mode"));
  } catch (error) {
    if (error.name === "AbortError") running.end("canceled");
    else running.end("failed", error.message);
  } finally {
    running = undefined;
    at("send").disabled = !root;
    at("cancel").disabled = true;
  }
}

/** One prediction or training, from the request to its end. */
class Run {
  constructor(kind, id, named) {
    Object.assign(this, { kind, id, named, began: performance.now(), output: undefined, logs: "", metrics: {}, canceled: new AbortController() });
    this.schema = resolve(root.components?.schemas?.[component(kind, "Output")], root);
    for (const name of ["logs", "request", "response"]) at(name).querySelector("pre").textContent = "";
    at("timeline").querySelector("ol").replaceChildren();
    at("metrics").querySelector("tbody").replaceChildren();
    show(at("output"), undefined);
  }

  async go(input, way) {
    const body = { input, ...(this.named ? {} : { id: this.id }) };
    let close = () => {};
    const finished = new Promise((done) => { this.finished = done; });
    if (way === "async") {
      const token = crypto.randomUUID();
      close = await webhooks(token, (prediction) => this.update(prediction, "webhook"));
      body.webhook = `${config.webhookBase}/webhook/${token}`;
      body.webhook_events_filter = ["start", "output", "logs", "completed"];
    }
    try {
      this.note("request sent");
      this.tellRequest(body, way);
      this.state("starting");
      const response = await api.create(this.kind, body, way, this.named ? this.id : "", this.canceled.signal);
      this.note(`answer ${response.status}`);
      if (response.headers.get("Content-Type")?.startsWith("text/event-stream")) await this.follow(response);
      else await this.take(response, way);
      if (way === "async" && response.ok) await finished;
    } finally {
      close();
    }
  }

  async take(response, way) {
    const text = await response.text();
    let body;
    try { body = JSON.parse(text); } catch { body = undefined; }
    this.tellResponse(response, body ?? text);
    if (!response.ok) {
      const detail = body?.detail ?? body?.error ?? text;
      throw new Error(`${response.status}: ${typeof detail === "string" ? detail : JSON.stringify(detail)}`);
    }
    if (way !== "async" || body?.status !== "starting") this.update(body, "answer");
  }

  async follow(response) {
    const seen = [];
    for await (const [name, data] of events(response)) {
      seen.push({ event: name, data: shortened(data) });
      this.tellResponse(response, seen);
      if (name === "output") {
        this.note(`output ${data.index}`);
        this.output = [...(this.output ?? []), data.chunk];
        show(at("output"), this.output, this.schema);
        this.state("processing");
      } else if (name === "log") {
        this.logs += data.data.endsWith("\n") ? data.data : `${data.data}\n`;
        at("logs").querySelector("pre").textContent = this.logs;
      } else if (name === "metric") {
        this.tellMetrics({ ...this.metrics, [data.name]: data.value });
      } else if (name === "error") {
        throw new Error(data.error ?? data.message ?? JSON.stringify(data));
      } else {
        this.update(data, name);
      }
    }
    if (!this.ended) throw new Error("the stream ended early");
  }

  update(prediction, origin) {
    this.note(`${origin}: ${prediction.status}`);
    if (this.ended) return; // deliveries may overtake each other, and the answer
    if (prediction.id) this.id = prediction.id;
    if (origin === "webhook") at("response").querySelector("pre").textContent = JSON.stringify(shortened(prediction), null, 2);
    if (prediction.output !== undefined && prediction.output !== null) show(at("output"), prediction.output, this.schema);
    if (prediction.logs) at("logs").querySelector("pre").textContent = prediction.logs;
    if (prediction.metrics) this.tellMetrics(prediction.metrics);
    if (["succeeded", "failed", "canceled"].includes(prediction.status)) this.end(prediction.status, prediction.error);
    else this.state(prediction.status);
  }

  end(status, why) {
    if (this.ended) return;
    this.ended = true;
    this.note(status);
    this.state(status, why ? `: ${why}` : ` in ${this.seconds()} s`);
    this.finished?.();
  }

  async cancel() {
    this.note("cancel");
    if (!await api.cancel(this.kind, () => this.id, () => this.ended)) this.canceled.abort();
  }

  seconds() {
    return ((performance.now() - this.began) / 1000).toFixed(2);
  }

  note(text) {
    at("timeline").querySelector("ol").append(element("li", {}, `${this.seconds()} s  ${text}`));
  }

  state(status, more = "…") {
    at("status").dataset.status = status;
    at("status").textContent = `${status}${more}`;
  }

  tellMetrics(metrics) {
    this.metrics = metrics;
    const rows = Object.entries(metrics).map(([name, value]) => element("tr", {}, element("td", {}, name), element("td", {}, typeof value === "object" ? JSON.stringify(value) : String(value))));
    at("metrics").querySelector("tbody").replaceChildren(...rows);
  }

  tellRequest(body, way) {
    const head = [`${this.named ? "PUT" : "POST"} /${this.kind}${this.named ? `/${this.id}` : ""}`, "Content-Type: application/json"];
    if (way === "stream") head.push("Accept: text/event-stream");
    if (way === "async") head.push("Prefer: respond-async");
    at("request").querySelector("pre").textContent = `${head.join("\n")}\n\n${JSON.stringify(shortened(body), null, 2)}`;
  }

  tellResponse(response, body) {
    const head = Object.entries(upstreamHeaders(response)).map(([name, values]) => `${name}: ${values.join(", ")}`);
    const text = typeof body === "string" ? body : JSON.stringify(shortened(body), null, 2);
    at("response").querySelector("pre").textContent = `${response.status} ${response.statusText}\n${head.join("\n")}\n\n${text}`;
  }
}

function complain(text) {
  at("problem").hidden = !text;
  at("problem").textContent = text;
}

function theme(wanted) {
  if (wanted) document.documentElement.dataset.theme = wanted;
  const dark = (wanted ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  at("theme").setAttribute("aria-pressed", String(dark));
  return dark;
}

at("target-form").addEventListener("submit", (event) => { event.preventDefault(); connect(at("target").value.trim()); });
at("fields").addEventListener("submit", (event) => { event.preventDefault(); send(); });
at("send").addEventListener("click", send);
at("cancel").addEventListener("click", () => running?.cancel());
at("reset").addEventListener("click", () => { if (root) fields(); });
at("json").addEventListener("input", checked);
at("theme").addEventListener("click", () => {
  const next = theme(document.documentElement.dataset.theme) ? "light" : "dark";
  localStorage.setItem("theme", next);
  theme(next);
});
for (const one of document.querySelectorAll('input[name="kind"]')) one.addEventListener("change", () => { if (root) fields(); });
for (const one of document.querySelectorAll('input[name="editor"]')) {
  one.addEventListener("change", () => {
    const json = chosen("editor") === "json";
    if (root && json) at("json").value = JSON.stringify(form.values(), null, 2);
    if (root && !json) { try { form.fill(JSON.parse(at("json").value || "{}")); } catch { /* the form keeps what it had */ } }
    at("fields").hidden = json;
    at("json-editor").hidden = !json;
    checked();
  });
}
begin().catch((error) => complain(error.message));
