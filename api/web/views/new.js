// A new dub: a file, two languages, a voice; everything else has a sensible default and is folded away.
import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { get, once, post, upload, watchJobs } from "../api.js";
import { Icon } from "../icons.js";
import { Bar, IconButton, Status, Trouble, useAnswer, useTitle } from "../parts.js";
import { language, pair, size, when } from "../words.js";
import { Thumbnail } from "./jobs.js";
import { Outlook } from "./outlook.js";
import { Picker } from "./picker.js";
import { Voice } from "./voice.js";

const LAST = "dubline.target";
const DEFAULTS = { background: "duck", subtitles: "embedded", quality: "balanced", priority: "5", keep_original_audio: "" };
const CHOICES = {
  background: [
    "Original sound behind the voice",
    [["duck", "Lower it under the voice"], ["keep", "Keep it as it is"], ["mute", "Mute it"]],
  ],
  subtitles: [
    "Subtitles",
    [["embedded", "In the video, can be switched"], ["burned", "Burned into the picture"], ["sidecar", "As files only"], ["none", "None in the video"]],
  ],
  quality: [
    "Check of the result",
    [["fast", "Measure only"], ["balanced", "Listen to a sample"], ["best", "Listen to all of it"]],
  ],
  priority: ["Priority", [["9", "High"], ["5", "Normal"], ["1", "When there is room"]]],
};

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
  const input = useRef(null);
  const take = (files) => files?.length && chosen(files[0]);
  const dropped = (event) => {
    event.preventDefault();
    setOver(false);
    if (!busy) take(event.dataTransfer.files);
  };
  // The whole window takes the file, so that a near miss does not leave the page.
  useEffect(() => {
    const hold = (event) => event.preventDefault();
    addEventListener("dragover", hold);
    addEventListener("drop", hold);
    return () => (removeEventListener("dragover", hold), removeEventListener("drop", hold));
  }, []);
  return html`<div class="drop ${over ? "over" : ""} ${file ? "full" : ""}" onDrop=${dropped}
    onDragEnter=${() => setOver(true)} onDragOver=${(e) => (e.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)}>
    <input id="file" ref=${input} class="hidden" type="file" accept="video/*,audio/*,.mkv,.ts,.mxf" disabled=${busy}
      aria-describedby="file-hint" onChange=${(e) => take(e.target.files)} />
    <label for="file">
      <span class="big"><${Icon} name=${file ? "film" : "up"} /></span>
      ${file
        ? html`<span class="file-name">${file.name}</span><span id="file-hint" class="dim">${size(file.size)} · another one?</span>`
        : html`<span><strong>Choose a video</strong> or drop it here</span>
            <span id="file-hint" class="dim">MP4, MKV, WebM, MOV and most others; sound alone works too</span>`}
    </label>
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
  const [file, setFile] = useState(null);
  const [source, setSource] = useState("auto");
  const [target, setTarget] = useState("");
  const [voice, setVoice] = useState("");
  const [more, setMore] = useState(DEFAULTS);
  const [sent, setSent] = useState(null);
  const [paused, setPaused] = useState(false);
  const [error, setError] = useState(null);
  const sending = useRef(null);
  const stored = useRef(null);

  const pairs = can.data?.pairs || [];
  const targets = [...new Set(pairs.filter((p) => source === "auto" || p.source === source).map((p) => p.target))];
  useEffect(() => {
    if (can.data && !target) setTarget(firstTarget(can.data.target_languages));
  }, [can.data]);
  useEffect(() => {
    if (target && can.data && !targets.includes(target)) setTarget(targets.length === 1 ? targets[0] : "");
  }, [source]);
  const voices = useAnswer(
    () => (target ? get(`/api/v1/voices?language=${encodeURIComponent(target)}`) : Promise.resolve({ voices: [] })),
    [target],
  );
  useEffect(() => setVoice(""), [target]);
  useEffect(() => () => sending.current?.stop(), []);

  const wrong = (field) => error?.errors?.find((e) => e.field === field)?.message;
  const submit = async (event) => {
    event.preventDefault();
    if (!file) return setError({ message: "Choose a video first.", errors: [{ field: "file", message: "" }] });
    if (!target) {
      return setError({ message: "Choose a language to dub into.", errors: [{ field: "target_language", message: "" }] });
    }
    setError(null);
    setSent(0);
    const engine = voices.data?.voices.find((v) => v.id === voice)?.engine || "";
    const fields = { target_language: target, tts_voice: voice, tts_engine: engine, ...more };
    if (source !== "auto") fields.source_language = source;
    setPaused(false);
    try {
      // A file that is there already is not sent again when only a choice was refused.
      if (stored.current?.file !== file) {
        sending.current = upload(file, setSent);
        stored.current = { file, id: await sending.current.done };
      }
      fields.file_id = stored.current.id;
      const made = await post("/api/v1/jobs", Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "")));
      localStorage.setItem(LAST, target);
      sending.current = null;
      location.hash = `#/jobs/${made.id}`;
    } catch (problem) {
      sending.current = null;
      setSent(null);
      if (problem.code !== "stopped") setError(problem);
    }
  };
  const busy = sent !== null;
  const hold = () => {
    sending.current?.[paused ? "resume" : "pause"]();
    setPaused(!paused);
  };
  const set = (name) => (event) => setMore({ ...more, [name]: event.target.value });
  return html`<div class="narrow">
    <h1>Dub a video</h1>
    <p class="lead">The same video, spoken in another language, in time with the picture.</p>
    <form class="card new" onSubmit=${submit} novalidate>
      <${Drop} file=${file} busy=${busy} chosen=${(f) => (setFile(f), setError(null))} />
      ${can.data && !pairs.length &&
      html`<${Trouble} error=${{ message: "No language can be dubbed here yet.", hint: "Run `dubline doctor`: it says what is missing and the command that mends it." }} />`}
      <${Trouble} error=${can.error} />
      <div class="fields">
        <${Picker} id="source" label="Spoken language" value=${source} changed=${setSource} disabled=${busy || !can.data}
          rows=${[{ value: "auto", label: "Detect the language" }, ...named(can.data?.source_languages || [])]} />
        <${Picker} id="target" label="Dub into" value=${target} changed=${setTarget} disabled=${busy || !can.data}
          invalid=${wrong("target_language") !== undefined} rows=${named(targets)} />
        <${Voice} rows=${voices.data?.voices || []} target=${target} value=${voice} changed=${setVoice} disabled=${busy || !target} />
      </div>
      <details>
        <summary>More choices</summary>
        <div class="fields more">
          ${Object.entries(CHOICES).map(
            ([name, [label, rows]]) => html`<div class="field">
              <label for=${name}>${label}</label>
              <select id=${name} disabled=${busy} onChange=${set(name)}>
                ${rows.map(([value, text]) => html`<option value=${value} selected=${more[name] === value}>${text}</option>`)}
              </select>
            </div>`,
          )}
        </div>
        <label class="check"><input type="checkbox" disabled=${busy} checked=${more.keep_original_audio === "true"}
          onChange=${(e) => setMore({ ...more, keep_original_audio: e.target.checked ? "true" : "" })} />
          Keep the original sound as a second track</label>
      </details>
      <${Trouble} error=${error} />
      ${!busy && html`<${Outlook} file=${file} target=${target} />`}
      ${busy
        ? html`<div class="sending">
            <${Bar} value=${sent * 100} label="Upload" />
            <div class="row"><span>${sent >= 1 ? "Looking at it" : `${paused ? "Paused" : "Sending"}, ${Math.round(sent * 100)} %`}</span>
              ${sent < 1 && html`<${IconButton} icon=${paused ? "play" : "pause"} label=${paused ? "Go on" : "Pause the upload"} onClick=${hold} />`}
              <${IconButton} icon="close" label="Stop the upload" onClick=${() => sending.current?.stop()} /></div>
          </div>`
        : html`<button class="primary" type="submit">Dub this video</button>`}
    </form>
    <${Latest} />
  </div>`;
}
