// The choices of a dub that most people leave as they are.
import { html } from "../lib/preact.js";
import { get } from "../api.js";
import { useAnswer } from "../parts.js";

const CHOICES = {
  background: [
    "Original sound behind the voice",
    [
      ["duck", "Lower it under the voice"],
      ["separate", "Take the speech out of it"],
      ["keep", "Keep it as it is"],
      ["mute", "Mute it"],
    ],
  ],
  speakers: [
    "Speakers",
    [
      ["one", "One voice for everybody"],
      ["auto", "A voice for each that is found"],
      ...[2, 3, 4, 5, 6, 7, 8].map((n) => [n, `${n} speakers, a voice for each`]),
    ],
  ],
  profile: ["Timing", [["natural", "Natural pace first"], ["strict", "Close to the original times first"]]],
  subtitles: [
    "Subtitles",
    [["embedded", "In the video, can be switched"], ["burned", "Burned into the picture"], ["sidecar", "As files only"], ["none", "None in the video"]],
  ],
  quality: [
    "Check of the result",
    [["fast", "Measure only"], ["balanced", "Listen to a sample"], ["best", "Listen to all of it"]],
  ],
  priority: ["Priority", [[9, "High"], [5, "Normal"], [1, "When there is room"]]],
};

export const DEFAULTS = {
  background: "duck",
  speakers: "one",
  profile: "natural",
  subtitles: "embedded",
  quality: "balanced",
  priority: 5,
  stt_model: "",
  keep_original_audio: false,
  glossary: "",
};

/** The lines of a glossary as {word: translation}; throws what to show when a line is none. */
export function glossaryOf(text) {
  const found = {};
  for (const line of text.split("\n").filter((row) => row.trim())) {
    const [word, ...rest] = line.split("=");
    const translation = rest.join("=").trim();
    if (!word.trim() || !translation) {
      throw { message: `“${line.trim()}” is no line of a glossary.`, hint: "Write a word, = and its translation.", errors: [{ field: "glossary" }] };
    }
    found[word.trim()] = translation;
  }
  return found;
}

/** Models for recognition; the simulated engine's only where there is no other. */
function modelsOf(engines) {
  const able = engines.filter((e) => e.kind === "stt" && e.state === "ready");
  const real = able.filter((e) => e.engine !== "simulated");
  return [...new Set((real.length ? real : able).flatMap((e) => e.models))];
}

export function Choices({ value, changed, disabled, wrong }) {
  const engines = useAnswer(() => get("/api/v1/models"), []);
  const models = modelsOf(engines.data?.engines || []);
  const set = (name, to) => changed({ ...value, [name]: to });
  const field = (name, label, rows) => html`<div class="field">
    <label for=${name}>${label}</label>
    <select id=${name} disabled=${disabled} onChange=${(e) => set(name, rows[e.target.selectedIndex][0])}>
      ${rows.map(([key, text]) => html`<option value=${key} selected=${value[name] === key}>${text}</option>`)}
    </select>
  </div>`;
  return html`<details>
    <summary>More choices</summary>
    <div class="fields more">
      ${Object.entries(CHOICES).map(([name, [label, rows]]) => field(name, label, rows))}
      ${models.length > 0 && field("stt_model", "Recognition model", [["", "The usual one"], ...models.map((m) => [m, m])])}
      <div class="field wide">
        <label for="glossary">Glossary</label>
        <textarea id="glossary" rows="3" disabled=${disabled} aria-describedby="glossary-hint" aria-invalid=${wrong === "glossary" ? "true" : null}
          value=${value.glossary} onInput=${(e) => set("glossary", e.target.value)}></textarea>
        <small id="glossary-hint">One line for each: word = translation</small>
      </div>
    </div>
    <label class="check"><input type="checkbox" disabled=${disabled} checked=${value.keep_original_audio}
      onChange=${(e) => set("keep_original_audio", e.target.checked)} />
      Keep the original sound as a second track</label>
  </details>`;
}
