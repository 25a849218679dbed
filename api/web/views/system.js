// How the service is: its parts, the queue, who works, what is in memory, what failed for good.
import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { call, get, once, post } from "../api.js";
import { Confirm, say, sayProblem, Trouble, useAnswer, useTitle } from "../parts.js";
import { language, pair, size, span, when } from "../words.js";

const PULSE_MS = 5000;
const PARTS = {
  database_service: "Database",
  storage_service: "Storage",
  job_queue: "Prefect",
  ai_service_factory: "Engines",
};
const KINDS = { stt: "Recognition", mt: "Translation", tts: "Voices", separate: "Separation", diarize: "Speakers" };

const Table = ({ label, heads, rows }) => html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
  <table><thead><tr>${heads.map((h) => html`<th scope="col">${h}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>`;

export function System() {
  useTitle("System");
  const health = useAnswer(() => get("/health", { accept: [503] }), []);
  const queue = useAnswer(() => get("/api/v1/queue/status"), []);
  const workers = useAnswer(() => get("/api/v1/workers"), []);
  const models = useAnswer(() => get("/api/v1/models"), []);
  const dead = useAnswer(() => get("/api/v1/dead-letters"), []);
  const links = useAnswer(() => once("/"), []);
  const [ask, setAsk] = useState(null);
  const all = useRef([]);
  all.current = [health, queue, workers, models, dead];
  useEffect(() => {
    const timer = setInterval(() => document.hidden || all.current.forEach((a) => a.again()), PULSE_MS);
    return () => clearInterval(timer);
  }, []);
  const letter = (work, done) => () =>
    work().then(() => (say(done), dead.again(), queue.again()), sayProblem);
  const now = health.data;
  const counts = queue.data?.database || {};
  const cache = models.data?.model_cache || {};
  const letters = dead.data?.dead_letters || [];
  const prefect = links.data?.prefect;
  return html`
    <div class="head"><h1>System</h1>
      <div class="row">
        <a class="button" href="/docs">Interface for programs</a>
        ${prefect?.startsWith("http") && html`<a class="button" href="${prefect}/dashboard" target="_blank" rel="noreferrer">Prefect</a>`}
      </div></div>
    <${Trouble} error=${health.error} />
    ${now &&
    html`<section class="card" aria-labelledby="health-title">
      <h2 id="health-title">${now.status === "healthy" ? "All is well" : "Something is not well"}</h2>
      <p class="dim">${now.service} ${now.version}, up for ${span(now.uptime_seconds)}</p>
      <ul class="parts across">
        ${Object.entries(PARTS).map(([key, name]) => {
          const good = now[key].status === "healthy" || now[key].status === "inprocess";
          return html`<li><span class="status ${good ? "pass" : "fail"}">${good ? "Well" : "Not well"}</span><strong>${name}</strong>
            <span class="dim">${now[key].message || ""}</span></li>`;
        })}
      </ul>
    </section>`}
    <div class="columns">
      <section class="card" aria-labelledby="queue-title">
        <h2 id="queue-title">Queue</h2>
        <dl class="counts">
          ${[["Waiting", (counts.queued_jobs || 0) + (counts.uploaded_jobs || 0)], ["At work", counts.processing_jobs], ["Done", counts.completed_jobs], ["Failed", counts.failed_jobs]].map(
            ([name, n]) => html`<div><dt>${name}</dt><dd>${n ?? "–"}</dd></div>`,
          )}
        </dl>
        ${(workers.data?.queues || []).length > 0 &&
        html`<${Table} label="Work queues" heads=${["Queue", "Priority", "State"]}
          rows=${workers.data.queues.map((q) => [q.name, q.priority, q.is_paused ? "Paused" : "Open"])} />`}
      </section>
      <section class="card" aria-labelledby="workers-title">
        <h2 id="workers-title">Workers</h2>
        ${workers.error && html`<${Trouble} error=${workers.error} />`}
        ${workers.data && !workers.data.workers.length && html`<p class="dim">None. Jobs wait until one is there.</p>`}
        <ul class="parts">
          ${(workers.data?.workers || []).map(
            (w) => html`<li><span class="status ${w.status === "online" ? "pass" : "cancelled"}">${w.status === "online" ? "Online" : "Offline"}</span>
              <strong>${w.name}</strong><span class="dim">${w.slots} places, heard of ${when(w.last_heartbeat)}</span></li>`,
          )}
        </ul>
      </section>
    </div>
    <section class="card" aria-labelledby="models-title">
      <h2 id="models-title">Models in memory</h2>
      ${(cache.models || []).length
        ? html`<${Table} label="Table of models" heads=${["For", "Engine", "Model", "Holds", "In use by", "Idle"]}
            rows=${cache.models.map((m) => [KINDS[m.kind] || m.kind, m.engine, m.model || "–", size(m.size_bytes), m.users, span(m.idle_s)])} />`
        : html`<p class="dim">None now; they are loaded when a job needs them.</p>`}
      ${cache.rss_bytes && html`<p class="dim">The engine server holds ${size(cache.rss_bytes)}; models may take ${size(cache.memory_bound_bytes)}.</p>`}
      <details><summary>Engines</summary>
        <${Table} label="Table of engines" heads=${["For", "Engine", "State", "Languages"]}
          rows=${(models.data?.engines || []).map((e) => [KINDS[e.kind] || e.kind, e.title, e.state === "ready" ? "Ready" : `${e.reason} ${e.command}`.trim() || e.state, e.languages.length > 6 ? `${e.languages.length}` : e.languages.map(language).join(", ")])} />
      </details>
    </section>
    <section class="card" aria-labelledby="dead-title">
      <h2 id="dead-title">Dead letters</h2>
      <p class="dim">Jobs that failed though they might succeed. Their input is kept.</p>
      <${Trouble} error=${dead.error} />
      ${dead.data && !letters.length && html`<p>None.</p>`}
      <ul class="parts">
        ${letters.map(
          (job) => html`<li><div><a href="#/jobs/${job.id}">${job.filename}</a>
              <p class="dim">${pair(job)} · ${job.error_message}</p></div>
            <div class="row"><button type="button" class="small" onClick=${letter(() => post(`/api/v1/dead-letters/${job.id}/requeue`), "Put back.")}>Put back</button>
              <button type="button" class="small danger" onClick=${() => setAsk({ title: "Drop this job?", text: `${job.filename} will be gone.`, yes: "Drop", act: letter(() => call("DELETE", `/api/v1/dead-letters/${job.id}`), "Dropped.") })}>Drop</button></div></li>`,
        )}
      </ul>
    </section>
    <${Confirm} ask=${ask} done=${() => setAsk(null)} />
  `;
}
