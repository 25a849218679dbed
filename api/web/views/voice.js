// The voice of a dub: chosen from those of the language, heard before.
import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { sound } from "../api.js";
import { Icon } from "../icons.js";
import { Trouble } from "../parts.js";

/** `rows`: {id, gender, language, engine}. `changed` hears the id of the voice, empty for the best one. */
export function Voice({ rows, target, value, changed, disabled }) {
  const [state, setState] = useState("");
  const [error, setError] = useState(null);
  const player = useRef(null);
  const engines = [...new Set(rows.map((v) => v.engine))];
  const stop = () => {
    player.current?.stop();
    player.current = null;
    setState("");
  };
  useEffect(() => stop, [target, value]);

  const hear = async () => {
    if (state) return stop();
    setError(null);
    setState("fetching");
    const fields = { language: target, ...(value && { voice: value, engine: rows.find((v) => v.id === value)?.engine || "auto" }) };
    const mine = (player.current = sound(`/api/v1/voices/sample?${new URLSearchParams(fields)}`));
    try {
      await mine.started;
      if (player.current === mine) setState("playing");
      await mine.ended;
    } catch (problem) {
      if (player.current === mine) setError(problem);
    }
    if (player.current === mine) stop();
  };
  return html`<div class="field wide">
    <label for="voice">Voice</label>
    <div class="beside">
      <select id="voice" value=${value} disabled=${disabled} onChange=${(e) => changed(e.target.value)}>
        <option value="">Best for the language</option>
        ${engines.map(
          (engine) => html`<optgroup label=${engine}>
            ${rows
              .filter((v) => v.engine === engine)
              .map((v) => html`<option value=${v.id} selected=${v.id === value}>${[v.id, v.gender, v.language].filter(Boolean).join(" · ")}</option>`)}
          </optgroup>`,
        )}
      </select>
      <button type="button" class="hear" disabled=${disabled} aria-busy=${String(state === "fetching")} onClick=${hear}>
        <${Icon} name=${state ? "pause" : "play"} />${{ "": "Hear it", fetching: "One moment", playing: "Stop" }[state]}
      </button>
    </div>
    <${Trouble} error=${error} />
  </div>`;
}
