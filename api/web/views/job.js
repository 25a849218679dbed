// One job: what happens now, or what came of it.
import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { artifactPath, call, follow, get, isPassing, jobPath, once, POLL_MS, post } from "../api.js";
import { Icon } from "../icons.js";
import { Bar, Confirm, say, sayProblem, Status, Trouble, useAnswer, useTitle } from "../parts.js";
import { clock, left, pair, size, span, when } from "../words.js";
import { Editor } from "./editor.js";
import { canRetry, isOpen } from "./jobs.js";
import { Player } from "./player.js";
import { Report } from "./report.js";

const STEPS = {
  video_translate: [
    ["preparation", "Prepare"],
    ["transcription", "Understand"],
    ["translation", "Translate"],
    ["synthesis", "Speak"],
    ["assembly", "Assemble"],
    ["finishing", "Check"],
  ],
  transcription: [["preparation", "Prepare"], ["transcription", "Understand"], ["assembly", "Subtitles"], ["finishing", "Finish"]],
  audio_extraction: [["preparation", "Prepare"], ["extraction", "Encode"], ["finishing", "Finish"]],
};

function Stepper({ job }) {
  const steps = STEPS[job.job_type] || STEPS.video_translate;
  const at = job.status === "completed" ? steps.length : steps.findIndex(([stage]) => stage === job.progress_stage);
  const state = (n) => (n < at ? "past" : n === at ? "now" : "next");
  const said = { past: "done", now: "at work", next: "still to come" };
  return html`<ol class="steps">
    ${steps.map(
      ([, name], n) => html`<li class=${state(n)} aria-current=${n === at ? "step" : null}>
        <span class="dot">${n < at ? html`<${Icon} name="done" />` : n + 1}</span>
        <span>${name}</span><span class="hidden">, ${said[state(n)]}</span>
      </li>`,
    )}
  </ol>`;
}

function Under({ job, lost }) {
  const known = job.status === "processing";
  return html`<section class="card under" aria-label="Progress">
    <${Stepper} job=${job} />
    <${Bar} value=${job.progress} label="Progress" />
    <div class="row between">
      <p class="step" role="status">${job.current_step}</p>
      <p class="dim">${known ? [`${Math.round(job.progress)} %`, left(job.estimated_completion)].filter(Boolean).join(" · ") : ""}</p>
    </div>
    ${lost && html`<p class="dim">The live connection is gone; looking every two seconds.</p>`}
  </section>`;
}

const SPOKEN_STAGES = ["synthesis", "assembly", "finishing"];

// Asked for at every per cent from the first line on; short media never have one.
function FirstMinute({ job }) {
  const [there, setThere] = useState(false);
  const asks = !there && job.status === "processing" && SPOKEN_STAGES.includes(job.progress_stage);
  const percent = Math.round(job.progress);
  const preview = useAnswer(() => (asks ? optional(jobPath(job.id, "/preview")) : Promise.resolve(null)), [asks, percent]);
  useEffect(() => {
    if (preview.data?.first_minute_url) setThere(true);
  }, [preview.data]);
  if (!there) return null;
  return html`<section class="card" aria-labelledby="early-title">
    <h2 id="early-title">The first minute</h2>
    <video src=${artifactPath(job, "first_minute")} controls playsinline preload="metadata"></video>
  </section>`;
}

const WAYS_OUT = {
  true: "Try again: what was finished is not made anew.",
  false: "Trying again will not help by itself: change the file or the choices.",
};

const Failed = ({ job, retry }) => {
  const error = job.error || {};
  const way = error.hint?.trim() || WAYS_OUT[Boolean(error.retryable)];
  return html`<${Trouble} error=${{ message: error.message || job.error_message || "The job failed.", hint: way }}>
    <div class="row"><button type="button" class=${error.retryable ? "primary" : ""} onClick=${retry}>Try again</button>
      <a class="button ${error.retryable ? "" : "primary"}" href="#/">Another file</a><code class="dim">${error.code}</code></div>
  <//>`;
};

function Downloads({ job, artifacts }) {
  const LABELS = {
    video: "Dubbed video",
    audio: "Sound",
    audio_dubbed: "Dubbed sound",
    audio_source: "Original sound",
    report: "Report",
    transcript_json: "Transcript",
    transcript_txt: "Transcript as text",
    translation_json: "Translation",
    translation_txt: "Translation as text",
    subtitles_target_srt: "Subtitles, translated",
    subtitles_target_vtt: "Subtitles, translated",
    subtitles_source_srt: "Subtitles, original",
    subtitles_source_vtt: "Subtitles, original",
    subtitles_bilingual_srt: "Subtitles, both",
    clip: "Short clip",
  };
  const rows = artifacts.filter((a) => LABELS[a.name]);
  return html`<section class="card" aria-labelledby="files-title">
    <h2 id="files-title">Files</h2>
    <ul class="files">
      ${rows.map((a) => {
        const suffix = a.filename.split(".").pop();
        return html`<li><a href=${jobPath(job.id, `/artifacts/${a.name}`)} download>
          <${Icon} name="fetch" /><span>${LABELS[a.name]}</span><small>${suffix.toUpperCase()} · ${size(a.size_bytes)}</small></a></li>`;
      })}
    </ul>
  </section>`;
}

function History({ job, turn }) {
  const events = useAnswer(() => get(jobPath(job.id, "/events")), [turn]);
  const service = useAnswer(() => once("/"), []);
  const prefect = service.data?.prefect;
  const facts = [
    ["File", `${job.original_filename} · ${size(job.input_file_size)}`],
    ["Length", job.media_duration_seconds ? clock(job.media_duration_seconds, 1) : "–"],
    ["Made in", job.processing_time_seconds ? span(job.processing_time_seconds) : "–"],
    ["Attempts", `${job.attempt}${job.crashes ? `, ${job.crashes} lost workers` : ""}`],
    ["Job", job.id],
  ];
  return html`<details class="card" open=${job.status !== "completed"}>
    <summary><h2>History</h2></summary>
    <dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <ol class="events">
      ${(events.data?.events || []).map((e) => html`<li><time datetime=${e.at}>${when(e.at)}</time><span>${e.message || e.type}</span></li>`)}
    </ol>
    ${prefect?.startsWith("http") && job.flow_run_id && html`<p><a href="${prefect}/runs/flow-run/${job.flow_run_id}" target="_blank" rel="noreferrer">The run in Prefect</a></p>`}
  </details>`;
}

const optional = (path) => get(path, { accept: [404, 409] });

function Result({ job, rendered }) {
  const player = useRef(null);
  const [line, setLine] = useState(null);
  const files = useAnswer(() => optional(jobPath(job.id, "/artifacts")), [job.attempt]);
  const artifacts = files.data?.artifacts || [];
  const has = (name) => artifacts.some((a) => a.name === name);
  const report = useAnswer(() => (has("report") ? optional(artifactPath(job, "report")) : Promise.resolve(null)), [files.data]);
  const lines = useAnswer(() => optional(jobPath(job.id, "/transcript")), [job.attempt]);
  if (!files.data && !files.error) return html`<p class="dim">Loading</p>`;
  const isDub = has("video");
  const rows = lines.data?.segments || [];
  const timing = report.data?.timing?.lines || [];
  const play = (from_s, to_s) => player.current?.play(from_s, to_s);
  return html`
    <${Trouble} error=${files.error} />
    <div class=${isDub ? "result" : ""}>
      ${isDub && html`<${Player} key=${job.attempt} job=${job} artifacts=${artifacts} lines=${rows} timing=${timing} hand=${player} moved=${setLine} />`}
      <${Editor} job=${job} answer=${lines.data} timing=${timing} at=${line} play=${isDub ? play : null} rendered=${rendered} />
    </div>
    ${report.data?.timing && html`<${Report} report=${report.data} play=${play} />`}
    <${Downloads} job=${job} artifacts=${artifacts} />
  `;
}

export function Job({ id }) {
  const [job, setJob] = useState(null);
  const [error, setError] = useState(null);
  const [lost, setLost] = useState(null);
  const [turn, setTurn] = useState(0);
  const [ask, setAsk] = useState(null);
  useTitle(job?.filename);
  useEffect(() => {
    let stop = () => {};
    let gone = false;
    let timer = 0;
    const look = () =>
      get(jobPath(id)).then(
        (now) => {
          if (gone) return;
          setJob(now);
          setError(null);
          if (isOpen(now)) stop = follow(id, { heard: setJob, lost: setLost });
        },
        (problem) => {
          if (gone) return;
          if (isPassing(problem)) timer = setTimeout(look, POLL_MS);
          setError(problem);
        },
      );
    look();
    return () => {
      gone = true;
      clearTimeout(timer);
      stop();
    };
  }, [id, turn]);

  const act = async (action) => {
    try {
      await post(jobPath(id, `/${action}`));
    } catch (problem) {
      sayProblem(problem);
    }
    setTurn((n) => n + 1);
  };
  const remove = () =>
    call("DELETE", jobPath(id)).then(
      () => {
        say("Deleted.");
        location.hash = "#/jobs";
      },
      sayProblem,
    );
  if (error) {
    return html`<h1>${error.status === 404 ? "No such job" : "This job cannot be shown"}</h1><${Trouble} error=${error} />
      <p><a href="#/jobs">All jobs</a></p>`;
  }
  if (!job) return html`<p class="dim">Loading</p>`;
  return html`
    <nav class="crumb" aria-label="Path"><a href="#/jobs">Jobs</a></nav>
    <div class="head">
      <div><h1 class="file-name">${job.filename}</h1>
        <p class="dim">${[pair(job), job.media_duration_seconds && clock(job.media_duration_seconds)].filter(Boolean).join(" · ")}</p></div>
      <div class="row">
        <${Status} job=${job} />
        ${job.status === "pending" && html`<button type="button" class="primary" onClick=${() => act("process")}>Start</button>`}
        ${isOpen(job) && html`<button type="button" disabled=${job.is_cancelling} onClick=${() => act("cancel")}>Cancel</button>`}
        ${job.status === "cancelled" && html`<button type="button" class="primary" onClick=${() => act("retry")}>Try again</button>`}
        ${job.download_url && html`<a class="button primary" href=${jobPath(id, "/download")} download><${Icon} name="fetch" /> Download</a>`}
        ${!isOpen(job) &&
        html`<button type="button" onClick=${() => setAsk({ title: "Delete this job?", text: `${job.filename} and all that was made of it will be gone.`, yes: "Delete", act: remove })}>Delete</button>`}
      </div>
    </div>
    ${isOpen(job) && html`<${Under} job=${job} lost=${lost} /><${FirstMinute} job=${job} />`}
    ${canRetry(job) && job.status === "failed" && html`<${Failed} job=${job} retry=${() => act("retry")} />`}
    ${job.status === "completed" && html`<${Result} job=${job} rendered=${() => setTurn((n) => n + 1)} />`}
    <${History} job=${job} turn=${[job.status, job.attempt, job.crashes, job.is_cancelling, job.progress_stage].join(" ")} />
    <${Confirm} ask=${ask} done=${() => setAsk(null)} />
  `;
}
