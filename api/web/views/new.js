// A new dub: a file, two languages, a voice; everything else has a sensible default and is folded away.
import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { get, once, watchJobs } from "../api.js";
import { Icon } from "../icons.js";
import { Bar, IconButton, say, sayProblem, Status, Trouble, useAnswer, useTitle } from "../parts.js";
import { forget, hold, kept, send, stop, useSending } from "../sending.js";
import { language, pair, size, when } from "../words.js";
import { Choices, DEFAULTS, glossaryOf } from "./choices.js";
import { Thumbnail } from "./jobs.js";
import { Outlook } from "./outlook.js";
import { Picker } from "./picker.js";
import { Voice } from "./voice.js";

const LAST = "dubline.target";

const named = (codes) =>
  codes
    .map((code) => ({ value: code, label: language(code), hint: code }))
    .sort((a, b) => a.label.localeCompare(b.label));

function firstTarget(targets) {
  const wanted = [localStorage.getItem(LAST), ...navigator.languages];
  for (const code of wanted.filter(Boolean)) {
    const found = targets.find((t) => t === code) || targets.find((t) => t.split("-")[0] === code.split("-")[0]);
    if (found && (found.split("-")[0] !== "en" || code === wanted[0])) return found;
  }
  return targets.length === 1 ? targets[0] : "";
}

function Drop({ file, chosen, busy }) {
  const [over, setOver] = useState(false);
  const [many, setMany] = useState(0);
  const take = (files) => {
    if (!files.length) return;
    setMany(files.length);
    chosen(files[0]);
  };
  // The whole window takes a file: a near miss is meant for this too.
  useEffect(() => {
    const moved = (event) => setOver(event.dataTransfer.types.includes("Files"));
    const left = (event) => event.relatedTarget || setOver(false);
    const dropped = (event) => {
      setOver(false);
      if (!busy) take(event.dataTransfer.files);
    };
    const heard = { dragover: moved, dragleave: left, drop: dropped };
    for (const [name, listener] of Object.entries(heard)) addEventListener(name, listener);
    return () => Object.entries(heard).forEach(([name, listener]) => removeEventListener(name, listener));
  }, [busy]);
  return html`<div class="drop ${over && !busy ? "over" : ""} ${file ? "full" : ""}">
    <input id="file" class="hidden" type="file" accept="video/*,audio/*,.mkv,.ts,.mxf" disabled=${busy}
      aria-describedby="file-hint" onChange=${(e) => take(e.target.files)} />
    <label for="file">
      <span class="big"><${Icon} name=${file ? "film" : "up"} /></span>
      ${file
        ? html`<span class="file-name">${file.name}</span><span id="file-hint" class="dim">${size(file.size)} · another one?</span>`
        : html`<span><strong>Choose a video</strong> or drop it here</span>
            <span id="file-hint" class="dim">MP4, MKV, WebM, MOV and most others; sound alone works too</span>`}
    </label>
    <p class="dim" role="status">${many > 1 && `Of the ${many} files only the first is taken: a dub is of one video.`}</p>
  </div>`;
}

function Latest() {
  const list = useAnswer(() => get("/api/v1/jobs?page_size=3"), []);
  const again = useRef(null);
  again.current = list.again;
  useEffect(() => watchJobs(() => again.current()), []);
  const jobs = list.data?.jobs || [];
  if (!jobs.length) return null;
  return html`<section class="latest" aria-labelledby="latest-title">
    <h2 id="latest-title">Latest jobs</h2>
    <ul class="jobs">
      ${jobs.map(
        (job) => html`<li class="job" key=${job.id}><${Thumbnail} job=${job} />
          <div class="what"><a href="#/jobs/${job.id}">${job.filename}</a>
            ${job.status === "processing"
              ? html`<${Bar} value=${job.progress} label="Progress of ${job.filename}" />`
              : html`<p class="dim">${pair(job)} · ${when(job.created_at)}</p>`}</div>
          <${Status} job=${job} /></li>`,
      )}
    </ul>
  </section>`;
}

export function New() {
  useTitle("New dub");
  const can = useAnswer(() => once("/api/v1/languages"), []);
  const sending = useSending();
  // What is being sent from here is shown again, with what it was sent with.
  const form = kept()?.form;
  const [file, setFile] = useState(kept()?.file ?? null);
  const [source, setSource] = useState(form?.source ?? "auto");
  const [target, setTarget] = useState(form?.target ?? "");
  const [voice, setVoice] = useState(form?.voice ?? "");
  const [more, setMore] = useState(form?.more ?? DEFAULTS);
  const [refused, setRefused] = useState(null);
  const busy = sending !== null && !sending.error;
  const error = refused ?? sending?.error;

  const pairs = can.data?.pairs || [];
  const targets = [...new Set(pairs.filter((p) => source === "auto" || p.source === source).map((p) => p.target))];
  const into = (code) => {
    setTarget(code);
    setVoice("");
  };
  useEffect(() => {
    if (can.data && !target) into(firstTarget(can.data.target_languages));
  }, [can.data]);
  useEffect(() => {
    if (target && can.data && !targets.includes(target)) into(targets.length === 1 ? targets[0] : "");
  }, [source]);
  const voices = useAnswer(
    () => (target ? get(`/api/v1/voices?language=${encodeURIComponent(target)}`) : Promise.resolve({ voices: [] })),
    [target],
  );
  useEffect(() => () => forget(), []);

  const wrong = error?.errors?.[0]?.field;
  const fieldsOf = () => {
    if (!file) throw { message: "Choose a video first.", errors: [{ field: "file" }] };
    if (!target) throw { message: "Choose a language to dub into.", errors: [{ field: "target_language" }] };
    const engine = voices.data?.voices.find((v) => v.id === voice)?.engine || "";
    const fields = { target_language: target, tts_voice: voice, tts_engine: engine, ...more, glossary: glossaryOf(more.glossary) };
    if (source !== "auto") fields.source_language = source;
    return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
  };
  const submit = async (event) => {
    event.preventDefault();
    forget();
    setRefused(null);
    let fields;
    try {
      fields = fieldsOf();
    } catch (problem) {
      return setRefused(problem);
    }
    const job = await send(file, { source, target, voice, more }, fields);
    const isHere = /^#?\/?$/.test(location.hash);
    if (job) {
      localStorage.setItem(LAST, target);
      if (isHere) location.hash = `#/jobs/${job.id}`;
      else say(`${file.name} is sent, and its job has begun.`);
    } else if (!isHere && kept()?.error) sayProblem(kept().error);
  };
  return html`<div class="narrow">
    <h1>Dub a video</h1>
    <p class="lead">The same video, spoken in another language, in time with the picture.</p>
    <form class="card new" onSubmit=${submit} novalidate>
      <${Drop} file=${file} busy=${busy} chosen=${(f) => (setFile(f), setRefused(null), forget())} />
      ${can.data && !pairs.length &&
      html`<${Trouble} error=${{ message: "No language can be dubbed here yet.", hint: "Run `dubline doctor`: it says what is missing and the command that mends it." }} />`}
      <${Trouble} error=${can.error} />
      <div class="fields">
        <${Picker} id="source" label="Spoken language" value=${source} changed=${setSource} disabled=${busy || !can.data}
          rows=${[{ value: "auto", label: "Detect the language" }, ...named(can.data?.source_languages || [])]} />
        <${Picker} id="target" label="Dub into" value=${target} changed=${into} disabled=${busy || !can.data}
          invalid=${wrong === "target_language"} rows=${named(targets)} />
        <${Voice} rows=${voices.data?.voices || []} target=${target} value=${voice} changed=${setVoice} disabled=${busy || !target} />
      </div>
      <${Choices} value=${more} changed=${setMore} disabled=${busy} wrong=${wrong} />
      <${Trouble} error=${error} />
      ${!busy && html`<${Outlook} file=${file} target=${target} />`}
      ${busy
        ? html`<div class="sending">
            <${Bar} value=${sending.share * 100} label="Upload" />
            <div class="row"><span>${sending.share >= 1 ? "Looking at it" : `${sending.paused ? "Paused" : "Sending"}, ${Math.round(sending.share * 100)} %`}</span>
              ${sending.share < 1 && html`<${IconButton} icon=${sending.paused ? "play" : "pause"} label=${sending.paused ? "Go on" : "Pause the upload"} onClick=${hold} />`}
              <${IconButton} icon="close" label="Stop the upload" onClick=${stop} /></div>
          </div>`
        : html`<button class="primary" type="submit">Dub this video</button>`}
    </form>
    <${Latest} />
  </div>`;
}
