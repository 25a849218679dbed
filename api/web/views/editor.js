// The lines side by side. Every change is saved as a revision when it is made; rendering is asked for apart.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../lib/preact.js";
import { call, get, jobPath, once, post } from "../api.js";
import { Icon } from "../icons.js";
import { bind } from "../keys.js";
import { IconButton, say, sayProblem, Trouble, useAnswer } from "../parts.js";
import { clock, language, seconds, span } from "../words.js";

const SLOT_TOLERANCE = 1.02;

/** The transcript with its edits, one after another: each is based on the revision that the one before gave. */
function useTranscript(job, given) {
  const [script, setScript] = useState(given);
  const [plan, setPlan] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(0);
  const latest = useRef(given);
  const line = useRef(Promise.resolve(true));
  const took = (answer) => {
    latest.current = answer;
    setScript(answer);
    setPlan(answer.plan ?? null);
    setError(null);
  };
  useLayoutEffect(() => took(given), [given]);

  const queued = (work) => {
    setBusy((n) => n + 1);
    line.current = line.current
      .then(work)
      .then(
        (answer) => (took(answer), true),
        async (problem) => {
          setError(problem);
          if (problem.status === 409) await get(jobPath(job.id, "/transcript")).then((now) => (took(now), setError(problem)), () => {});
          return false;
        },
      )
      .finally(() => setBusy((n) => n - 1));
    return line.current;
  };
  const path = jobPath(job.id, "/transcript");
  const edit = (...edits) => queued(() => call("PUT", path, { revision: latest.current.revision, edits }));
  const undo = () => queued(() => post(`${path}/undo`, { revision: latest.current.revision }));
  const settled = () => line.current;
  return { script, plan, error, busy: busy > 0, edit, undo, settled, latest, setPlan, setError };
}

/** A field that is its own while typed in, and told when it is left or Ctrl+Enter is pressed. */
function Text({ value, told, next, label, lang, field, typed }) {
  const [text, setText] = useState(value);
  const box = useRef(null);
  // What was told last: leaving the field after Ctrl+Enter must not tell it again.
  const last = useRef(value);
  useLayoutEffect(() => {
    setText(value);
    last.current = value;
  }, [value]);
  useLayoutEffect(() => {
    box.current.style.height = "auto";
    box.current.style.height = `${box.current.scrollHeight + 2}px`;
  }, [text]);
  const leave = () => {
    const now = text.trim();
    if (now === last.current) return;
    last.current = now;
    told(now, () => {
      setText(value);
      last.current = value;
    });
  };
  const keyed = (event) => {
    if (event.key === "Escape") {
      setText(value);
      typed?.(value);
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      leave();
      next?.();
    } else if (event.key === "Enter" && !event.shiftKey) event.preventDefault();
  };
  return html`<textarea ref=${(node) => ((box.current = node), field?.(node))} rows="1" lang=${lang} aria-label=${label} spellcheck="true" value=${text}
    onInput=${(e) => (setText(e.target.value), typed?.(e.target.value))} onKeyDown=${keyed} onBlur=${leave}></textarea>`;
}

function Time({ value, label, told }) {
  const [text, setText] = useState(clock(value, 2));
  useLayoutEffect(() => setText(clock(value, 2)), [value]);
  const leave = () => {
    const at_s = seconds(text);
    if (at_s === null) setText(clock(value, 2));
    else if (Math.abs(at_s - value) > 0.004) told(at_s, () => setText(clock(value, 2)));
  };
  return html`<input class="time" inputmode="decimal" aria-label=${label} value=${text} onInput=${(e) => setText(e.target.value)}
    onBlur=${leave} onKeyDown=${(e) => e.key === "Enter" && leave()} />`;
}

/** How much of its time a line takes, guessed from what the server knows of its length while it is typed. */
function Fit({ row, text, warning, take }) {
  if (!row.slot_s) return null;
  const known = row.estimated_s || 0;
  const guessed = text === row.text || !row.text ? known : (known * text.length) / row.text.length;
  const tight = (text === row.text && row.fits === false) || guessed > row.slot_s * SLOT_TOLERANCE * 1.25;
  if (!tight && !warning) return null;
  return html`<p class="fit" role="note"><${Icon} name="warn" />
    <span>${warning?.message || `Takes about ${guessed.toFixed(1)} s and has ${row.slot_s.toFixed(1)} s.`}
      ${warning?.proposal && html` <button type="button" class="link" onClick=${() => take(warning.proposal)}>Take <q>${warning.proposal}</q></button>`}</span></p>`;
}

function Line({ row, next, editable, now, spoken, voices, play, edit, warning, script, fields, step }) {
  const [typed, setTyped] = useState(row.text);
  useLayoutEffect(() => setTyped(row.text), [row.text]);
  const source = row.source_text ?? row.source ?? "";
  const from_s = row.spoken_start_s ?? spoken?.start_s ?? row.start_s;
  const to_s = row.spoken_end_s ?? spoken?.end_s ?? row.end_s;
  const item = useRef(null);
  useEffect(() => {
    const list = item.current?.parentElement;
    if (now && list && !list.contains(document.activeElement)) {
      list.scrollTo({ top: item.current.offsetTop - list.offsetTop - 60, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    }
  }, [now]);
  const change = (values) => (value, back) => edit({ op: "change", id: row.id, ...values(value) }).then((ok) => ok || back());
  const box = () => fields.current.get(row.id);
  const split = () => {
    const at = box()?.selectionStart || 0;
    const cut = at > 0 && at < row.text.length ? at : row.text.indexOf(" ", row.text.length / 2);
    if (cut > 0) edit({ op: "split", id: row.id, at_char: cut });
    else say("One word cannot be split.");
  };
  const keyed = (event) => {
    if (!editable || !event.altKey) return;
    const act = { KeyS: split, KeyM: () => next && edit({ op: "merge", id: row.id, with_id: next.id }), KeyP: () => play?.(from_s, to_s) }[event.code];
    if (act) {
      event.preventDefault();
      act();
    }
  };
  return html`<li ref=${item} class="line ${now ? "now" : ""} ${row.edited ? "edited" : ""}" onKeyDown=${keyed}>
    <div class="line-head">
      ${play
        ? html`<button type="button" class="stamp" onClick=${() => play(from_s, to_s)} aria-label="Play the line at ${clock(row.start_s)}"><${Icon} name="play" />${clock(row.start_s)}</button>`
        : html`<span class="stamp">${clock(row.start_s)}</span>`}
      ${row.edited && html`<span class="tag">Changed</span>`}
      ${editable &&
      html`<details class="line-more"><summary aria-label="More for the line at ${clock(row.start_s)}"><${Icon} name="more" /></summary>
        <div class="line-tools">
          <label>Voice <select aria-label="Voice of the line at ${clock(row.start_s)}" onChange=${(e) => edit({ op: "change", id: row.id, voice: e.target.value })}>
            ${(voices.includes(row.voice) ? voices : [row.voice, ...voices]).map((v) => html`<option value=${v} selected=${v === row.voice}>${v || "–"}</option>`)}
          </select></label>
          <label>From <${Time} value=${row.start_s} label="Start" told=${change((start_s) => ({ start_s }))} /></label>
          <label>to <${Time} value=${row.end_s} label="End" told=${change((end_s) => ({ end_s }))} /></label>
          <span class="row">
            <${IconButton} icon="split" label="Split at the cursor" onMouseDown=${(e) => e.preventDefault()} onClick=${split} />
            <${IconButton} icon="merge" label="Merge with the next line" disabled=${!next} onClick=${() => edit({ op: "merge", id: row.id, with_id: next.id })} />
            <${IconButton} icon="bin" label="Delete the line" onClick=${() => edit({ op: "delete", id: row.id })} />
          </span>
        </div></details>`}
    </div>
    <div class="pair ${source && row.text && source !== row.text ? "" : "one"}">
      ${source && source !== row.text && html`<p class="source" lang=${script.source_language} onClick=${() => play?.(from_s, to_s)}>${source}</p>`}
      ${editable
        ? html`<${Text} value=${row.text} lang=${script.target_language} label="Translation at ${clock(row.start_s)}" typed=${setTyped}
            field=${(node) => (node ? fields.current.set(row.id, node) : fields.current.delete(row.id))} told=${change((text) => ({ text }))} next=${() => step(1, row.id)} />`
        : html`<p lang=${script.target_language} onClick=${() => play?.(from_s, to_s)}>${row.text}</p>`}
    </div>
    ${editable && html`<${Fit} row=${row} text=${typed} warning=${warning} take=${(text) => edit({ op: "change", id: row.id, text })} />`}
  </li>`;
}

export function Editor({ job, answer, timing, at, play, rendered }) {
  if (!answer?.segments) return null;
  return html`<${Lines} job=${job} given=${answer} timing=${timing} at=${at} play=${play} rendered=${rendered} />`;
}

function Lines({ job, given, timing, at, play, rendered }) {
  const editing = useTranscript(job, given);
  const { script, plan, error, busy } = editing;
  const fields = useRef(new Map());
  const [sending, setSending] = useState(false);
  const editable = Number.isInteger(script.revision) && job.job_type === "video_translate";
  const target = job.target_language || "";
  const voices = useAnswer(
    () => (editable ? once(`/api/v1/voices?language=${encodeURIComponent(target)}`) : Promise.resolve(null)),
    [editable, target],
  );
  const engine = job.processing_config?.tts_engine || "auto";
  const able = [...new Set((voices.data?.voices || []).filter((v) => engine === "auto" || v.engine === engine).map((v) => v.id))];
  const places = new Map(timing.map((row) => [row.utterance_id, row]));
  const rows = script.segments;
  const warnings = new Map((plan?.warnings || []).map((w) => [w.id, w]));
  const dirty = editable && script.revision !== script.rendered_revision;
  const changed = rows.filter((row) => row.edited).length;

  const step = (by, from) => {
    const now = from ?? [...fields.current].find(([, node]) => node === document.activeElement)?.[0];
    const n = rows.findIndex((row) => row.id === now);
    fields.current.get(rows[n < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, n + by))]?.id)?.focus();
  };
  const render = async () => {
    // A field that still has the cursor is saved first.
    document.activeElement?.blur?.();
    if (!(await editing.settled())) return;
    setSending(true);
    try {
      await post(jobPath(job.id, "/render"), { revision: editing.latest.current.revision });
      say("Rendering what changed.");
      rendered();
    } catch (problem) {
      editing.setError(problem);
      setSending(false);
    }
  };
  useEffect(() => {
    if (!dirty || plan) return;
    post(jobPath(job.id, "/render"), { dry_run: true }).then((body) => editing.setPlan(body.plan ?? body), () => {});
  }, [dirty, script.revision]);
  const acts = useRef({});
  acts.current = { step, render, undo: () => script.revision > 0 && editing.undo() };
  useLayoutEffect(
    () =>
      editable
        ? bind("Lines", [
            { key: "e", does: "Edit the lines", act: () => acts.current.step(0) },
            { key: "Ctrl+Enter", does: "Save the line, go to the next", act: () => acts.current.step(1) },
            { key: "Alt+ArrowUp", shown: "Alt+↑", does: "The line before", act: () => acts.current.step(-1) },
            { key: "Alt+ArrowDown", shown: "Alt+↓", does: "The line after", act: () => acts.current.step(1) },
            { key: "Alt+p", does: "Play the line", act: () => {} },
            { key: "Alt+s", does: "Split the line at the cursor", act: () => {} },
            { key: "Alt+m", does: "Merge with the next line", act: () => {} },
            { key: "Ctrl+z", does: "Undo the last change (outside a text)", outside: true, act: () => acts.current.undo() },
            { key: "Alt+r", does: "Render what changed", act: () => acts.current.render() },
          ])
        : undefined,
    [editable],
  );

  return html`<section class="card editor" aria-labelledby="lines-title">
    <div class="row between">
      <h2 id="lines-title">${job.target_language ? "Lines" : "Transcript"}</h2>
      ${editable && html`<${IconButton} icon="undo" label="Undo the last change" disabled=${busy || script.revision === 0} onClick=${editing.undo} />`}
    </div>
    <p class="dim">${[script.source_language && language(script.source_language), script.target_language && language(script.target_language)].filter(Boolean).join(" to ")}${editable ? "; changes are saved as you make them" : ""}</p>
    <${Trouble} error=${error} />
    <ol class="lines" tabindex="0" aria-labelledby="lines-title">
      ${rows.map(
        (row, n) => html`<${Line} key=${row.id} row=${row} next=${rows[n + 1]} editable=${editable} now=${row.id === at} spoken=${places.get(row.id)}
          voices=${able} play=${play} edit=${editing.edit} warning=${warnings.get(row.id)}
          script=${script} fields=${fields} step=${step} />`,
      )}
    </ol>
    ${!rows.length && html`<p class="dim">Nobody speaks in it.</p>`}
    ${dirty &&
    html`<div class="render">
      <p>${plan
        ? `${plan.lines_again.length} ${plan.lines_again.length === 1 ? "line is" : "lines are"} spoken again, about ${span(plan.seconds_expected)}.`
        : `${changed} ${changed === 1 ? "line" : "lines"} changed since the video was made.`}</p>
      <button type="button" class="primary" disabled=${sending || busy} onClick=${render}>Render what changed</button>
    </div>`}
  </section>`;
}
