// The quality report as a picture: the verdict, slots and speech on a line of time, and the lines to look at.
import { html } from "../lib/preact.js";
import { Icon } from "../icons.js";
import { clock, figure, share, VERDICT } from "../words.js";

const COMFORTABLE = 1.2;
const ROW_S = 30;
const MOST_ROWS = 40;
const LANES = { slot: [4, 8], speech: [15, 13] };
const ROW_HEIGHT = 46;
const WIDTH = 1000;

const paceOf = (line) =>
  line.is_silent ? "silent" : line.overrun_s > 0.05 ? "over" : line.stretch > COMFORTABLE + 1e-3 ? "fast" : line.stretch > 1.001 ? "pace" : "natural";

const PACES = {
  natural: "As spoken",
  pace: `Up to ${COMFORTABLE}× faster`,
  fast: `Over ${COMFORTABLE}×`,
  over: "Past its slot",
  silent: "Not heard",
};

function Timeline({ lines, media_s, play }) {
  const rows = Math.min(MOST_ROWS, Math.max(1, Math.ceil(media_s / ROW_S)));
  const row_s = rows === 1 ? media_s : Math.max(ROW_S, media_s / rows);
  const x = (at_s) => (WIDTH * at_s) / row_s;
  /** A stretch of time as the pieces of the rows it lies in. */
  const pieces = (start_s, end_s) => {
    const out = [];
    for (let n = Math.floor(start_s / row_s); n < rows && n * row_s < end_s; n += 1) {
      const from = Math.max(start_s, n * row_s) - n * row_s;
      const to = Math.min(end_s, (n + 1) * row_s) - n * row_s;
      if (to > from) out.push({ n, x: x(from), width: Math.max(2, x(to) - x(from) - 1) });
    }
    return out;
  };
  const lane = (kind, line, start_s, end_s) =>
    pieces(start_s, end_s).map(
      (p) => html`<rect class=${kind} x=${p.x} y=${p.n * ROW_HEIGHT + LANES[kind.split(" ")[0]][0]} width=${p.width}
        height=${LANES[kind.split(" ")[0]][1]} rx="2" onClick=${() => play(line.start_s, line.end_s)}>
        <title>${`${clock(line.start_s, 1)}  pace ${line.stretch.toFixed(2)}  ${line.target_text}`}</title></rect>`,
    );
  const used = Object.keys(PACES).filter((kind) => lines.some((line) => paceOf(line) === kind));
  return html`<div class="timeline">
    <div class="row legend">
      <span><i class="slot"></i>Time it may take</span>
      ${used.map((kind) => html`<span><i class=${kind}></i>${PACES[kind]}</span>`)}
    </div>
    <div class="chart">
      <div class="stamps" aria-hidden="true">${Array.from({ length: rows }, (_, n) => html`<span>${clock(n * row_s)}</span>`)}</div>
      <svg viewBox="0 0 ${WIDTH} ${rows * ROW_HEIGHT}" preserveAspectRatio="none" style=${{ height: `${rows * ROW_HEIGHT}px` }} role="img"
        aria-label="${lines.length} lines over ${clock(media_s)}; the table below has the same figures">
        ${Array.from({ length: rows }, (_, n) => html`<line class="rule" x1="0" x2=${WIDTH} y1=${n * ROW_HEIGHT + 34} y2=${n * ROW_HEIGHT + 34} />`)}
        ${lines.map((line) => [
          lane("slot", line, line.source_start_s, line.source_start_s + line.slot_s),
          lane(`speech ${paceOf(line)}`, line, line.start_s, line.end_s),
        ])}
      </svg>
    </div>
  </div>`;
}

export function Report({ report, play }) {
  const { timing, voice, mix, translation, recognition, container, provenance } = report;
  const silent = recognition.wordless || []; // reports from before it was measured do not have it
  const wordless = silent.slice(0, 3).map((span) => clock(span.start_s)).join(", ") + (silent.length > 3 ? ` and ${silent.length - 3} more` : "");
  const figures = [
    ["Lines", String(translation.lines)],
    [`Pace up to ${COMFORTABLE}`, share(timing.share_pace_le_1_2)],
    ["In time with the speaker", share(timing.speech_overlap_iou)],
    ["Words heard wrong", voice.wer === null ? "–" : share(voice.wer), voice.reason],
    ["Numbers kept", share(translation.numbers_kept)],
    ["Translated back", translation.back_translation_chrf === null ? "–" : figure(translation.back_translation_chrf, "chrF", 0), translation.back_translation_reason],
    ["Voice against original", figure(mix.loudness_error_lu, "LU")],
    ["Speech understood", share(recognition.speech_coverage)],
    ...(wordless ? [["Speech, but no word", `At ${wordless}`, "Somebody may have spoken there; nothing was understood, so nothing is dubbed."]] : []),
    ["Picture", container.video_stream_hash_equal === true ? "Bit for bit" : container.video_stream_hash_equal === false ? "Changed" : "–", container.video_stream_hash_reason],
  ];
  return html`<section class="card report" aria-labelledby="report-title">
    <h2 id="report-title">Report</h2>
    <div class="verdict ${report.verdict}">
      <${Icon} name=${report.verdict === "pass" ? "done" : "warn"} />
      <div><p><strong>${VERDICT[report.verdict]}.</strong> ${report.message}</p>
        ${report.reasons.length > 1 && html`<ul>${report.reasons.slice(1).map((r) => html`<li>${r}</li>`)}</ul>`}</div>
    </div>
    <dl class="figures">
      ${figures.map(([name, value, why]) => html`<div title=${why || null}><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>
    ${timing.lines.length > 0 && html`<${Timeline} lines=${timing.lines} media_s=${provenance.media_s} play=${play} />`}
    ${report.worst_lines.length > 0 &&
    html`<h3>Lines to look at</h3>
      <ul class="worst">
        ${report.worst_lines.map(
          (row) => html`<li>
            <button type="button" class="small" onClick=${() => play(row.start_s, row.start_s + 6)} aria-label="Play at ${clock(row.start_s)}"><${Icon} name="play" /> ${clock(row.start_s)}</button>
            <div><p>${row.problem}</p><p class="dim">${row.mend.includes("--") ? "Change the line." : row.mend}</p>${row.proposal && html`<p class="dim">Shorter: <q>${row.proposal}</q></p>`}</div>
          </li>`,
        )}
      </ul>`}
    <details>
      <summary>All lines as a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="All lines">
        <table>
          <thead><tr><th scope="col">At</th><th scope="col">Slot</th><th scope="col">Pace</th><th scope="col">Onset</th><th scope="col">Text</th></tr></thead>
          <tbody>
            ${timing.lines.map((l) => html`<tr><td>${clock(l.start_s, 1)}</td><td>${l.slot_s.toFixed(1)} s</td><td>${l.stretch.toFixed(2)}</td>
              <td>${l.onset_error_s > 0 ? "+" : ""}${l.onset_error_s.toFixed(2)} s</td><td>${l.target_text}</td></tr>`)}
          </tbody>
        </table>
      </div>
    </details>
  </section>`;
}
