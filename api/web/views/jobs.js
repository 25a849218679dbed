// All jobs, live: filter, search, and what can be done with one or many.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../lib/preact.js";
import { artifactPath, call, ENDED, get, jobPath, once, post, watchJobs } from "../api.js";
import { Icon } from "../icons.js";
import { bind } from "../keys.js";
import { Bar, Confirm, IconButton, say, sayProblem, Status, Trouble, useAnswer, useTitle } from "../parts.js";
import { clock, language, left, pair, STATUS, TYPES, when } from "../words.js";

const PAGE = 20;
const TYPING_MS = 250;

export const isOpen = (job) => !ENDED.has(job.status);
export const canRetry = (job) => job.status === "failed" || job.status === "cancelled";

export function Thumbnail({ job }) {
  const [gone, setGone] = useState(false);
  const has = job.status === "completed" && job.job_type === "video_translate" && !gone;
  return html`<div class="thumb">
    ${has
      ? html`<img src=${artifactPath(job, "thumbnail2")} alt="" loading="lazy" width="112" height="63" onError=${() => setGone(true)} />`
      : html`<${Icon} name="film" />`}
    ${job.media_duration_seconds && html`<span>${clock(job.media_duration_seconds)}</span>`}
  </div>`;
}

function Row({ job, marked, mark, act }) {
  const working = job.status === "processing";
  return html`<li class="job ${marked ? "marked" : ""}">
    <input type="checkbox" checked=${marked} onChange=${mark} aria-label="Mark ${job.filename}" />
    <${Thumbnail} job=${job} />
    <div class="what">
      <a href="#/jobs/${job.id}">${job.filename}</a>
      <p class="dim">${pair(job)} · ${when(job.created_at)}${job.attempt > 1 ? ` · attempt ${job.attempt}` : ""}</p>
      ${job.status === "failed" && html`<p class="bad-text">${job.error_message}</p>`}
      ${working && html`<${Bar} value=${job.progress} label="Progress of ${job.filename}" />
        <p class="dim">${[job.current_step, `${Math.round(job.progress)} %`, left(job.estimated_completion)].filter(Boolean).join(" · ")}</p>`}
    </div>
    <${Status} job=${job} />
    <div class="acts">
      ${isOpen(job) && html`<${IconButton} icon="close" label="Cancel ${job.filename}" disabled=${job.is_cancelling} onClick=${() => act("cancel")} />`}
      ${canRetry(job) && html`<${IconButton} icon="retry" label="Try ${job.filename} again" onClick=${() => act("retry")} />`}
      ${job.download_url && html`<a class="icon-button" href=${jobPath(job.id, "/download")} download aria-label="Download ${job.filename}" title="Download"><${Icon} name="fetch" /></a>`}
      ${!isOpen(job) && html`<${IconButton} icon="bin" label="Delete ${job.filename}" onClick=${() => act("delete")} />`}
    </div>
  </li>`;
}

const COUNT = (n) => `${n} ${n === 1 ? "job" : "jobs"}`;
const DONE = { cancel: "cancelled", retry: "started again", delete: "deleted" };

/** Do one thing with many jobs and say how it went. */
async function actOnMany(action, ids) {
  const { rows, succeeded, failed } = await post(`/api/v1/jobs/bulk/${action}`, { job_ids: ids });
  const reason = rows.find((r) => r.problem)?.problem.detail;
  say(`${COUNT(succeeded)} ${DONE[action]}${failed ? `, ${failed} not: ${reason}` : ""}.`);
}

export function Jobs() {
  useTitle("Jobs");
  const [filter, setFilter] = useState({ status: "", job_type: "", target_language: "", q: "" });
  const [typed, setTyped] = useState("");
  const [page, setPage] = useState(1);
  const [marked, setMarked] = useState(new Set());
  const [ask, setAsk] = useState(null);
  const search = useRef(null);
  const given = Object.entries(filter).filter(([, value]) => value);
  const query = new URLSearchParams([["page", page], ["page_size", PAGE], ...given]);
  const list = useAnswer(() => get(`/api/v1/jobs?${query}`), [String(query)]);
  const languages = useAnswer(() => once("/api/v1/languages"), []);
  const narrow = (name, value) => {
    setFilter((was) => ({ ...was, [name]: value }));
    setPage(1);
    setMarked(new Set());
  };
  useEffect(() => {
    if (typed === filter.q) return undefined;
    const timer = setTimeout(narrow, TYPING_MS, "q", typed);
    return () => clearTimeout(timer);
  }, [typed]);
  const again = useRef(list.again);
  again.current = list.again;
  useEffect(() => watchJobs(() => again.current()), []);
  useLayoutEffect(
    () => bind("Jobs", [{ key: "/", does: "Search", act: () => search.current.focus() }]),
    [],
  );

  const jobs = list.data?.jobs || [];
  const total = list.data?.total_count ?? 0;
  const pages = Math.max(1, Math.ceil(total / PAGE));
  const turn = (to) => {
    setPage(to);
    setMarked(new Set());
  };
  // The last rows of the last page may have been deleted.
  useEffect(() => {
    if (list.data && page > pages) turn(pages);
  }, [list.data]);
  const chosen = jobs.filter((job) => marked.has(job.id));
  const mark = (id) => {
    const next = new Set(marked);
    if (!next.delete(id)) next.add(id);
    setMarked(next);
  };
  const run = async (work) => {
    try {
      await work();
    } catch (error) {
      sayProblem(error);
    }
    list.again();
  };
  const act = (job) => (action) => {
    if (action !== "delete") return run(() => post(jobPath(job.id, `/${action}`)).then(() => say(`${job.filename} ${DONE[action]}.`)));
    setAsk({
      title: "Delete this job?",
      text: `${job.filename} and all that was made of it will be gone.`,
      yes: "Delete",
      act: () => run(() => call("DELETE", jobPath(job.id)).then(() => say(`${job.filename} deleted.`))),
    });
  };
  const many = (action, rows) => {
    const go = () => run(() => actOnMany(action, rows.map((r) => r.id)).then(() => setMarked(new Set())));
    if (action !== "delete") return go();
    setAsk({ title: `Delete ${COUNT(rows.length)}?`, text: "All that was made of them will be gone.", yes: "Delete", act: go });
  };
  const groups = [
    ["cancel", "Cancel", chosen.filter(isOpen)],
    ["retry", "Try again", chosen.filter(canRetry)],
    ["delete", "Delete", chosen.filter((j) => !isOpen(j))],
  ];
  const all = jobs.length > 0 && chosen.length === jobs.length;
  const choice = (name, label, any, rows) => html`<select aria-label=${label} onChange=${(e) => narrow(name, e.target.value)}>
    <option value="">${any}</option>
    ${rows.map(([value, text]) => html`<option value=${value} selected=${value === filter[name]}>${text}</option>`)}
  </select>`;
  return html`
    <div class="head"><h1>Jobs</h1><a class="button primary" href="#/">New dub</a></div>
    <div class="tools" role="search">
      <input ref=${search} type="search" placeholder="Search by file name" aria-label="Search by file name" value=${typed} onInput=${(e) => setTyped(e.target.value)} />
      ${choice("status", "Show", "Any state", Object.entries(STATUS))}
      ${choice("job_type", "Kind", "Any kind", Object.entries(TYPES))}
      ${choice("target_language", "Language", "Any language", (languages.data?.target_languages || []).map((code) => [code, language(code)]))}
    </div>
    <${Trouble} error=${list.error} />
    ${jobs.length > 0 &&
    html`<div class="bulk">
      <label class="check"><input type="checkbox" checked=${all} indeterminate=${chosen.length > 0 && !all}
        onChange=${() => setMarked(all ? new Set() : new Set(jobs.map((j) => j.id)))} />
        ${chosen.length ? `${chosen.length} marked` : `${COUNT(total)}`}</label>
      ${groups.map(([action, name, rows]) => rows.length > 0 && html`<button type="button" class="small ${action === "delete" ? "danger" : ""}" onClick=${() => many(action, rows)}>${name} (${rows.length})</button>`)}
    </div>
    <ul class="jobs">
      ${jobs.map((job) => html`<${Row} key=${job.id} job=${job} marked=${marked.has(job.id)} mark=${() => mark(job.id)} act=${act(job)} />`)}
    </ul>`}
    ${list.data && !jobs.length &&
    html`<div class="empty"><${Icon} name="film" />
      <p>${given.length ? "No job is like that." : "No jobs yet."}</p>
      ${!given.length && html`<a class="button" href="#/">Dub a video</a>`}</div>`}
    ${pages > 1 &&
    html`<nav class="row" aria-label="Pages">
      <button type="button" disabled=${page <= 1} onClick=${() => turn(page - 1)}>Newer</button>
      <span class="dim" role="status">${(page - 1) * PAGE + 1}–${Math.min(total, page * PAGE)} of ${total}</span>
      <button type="button" disabled=${page >= pages} onClick=${() => turn(page + 1)}>Older</button>
    </nav>`}
    <${Confirm} ask=${ask} done=${() => setAsk(null)} />
  `;
}
