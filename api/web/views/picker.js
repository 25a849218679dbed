// A list with search: the combobox pattern of the ARIA practices guide.
import { html, useRef, useState } from "../lib/preact.js";

/** `rows`: {value, label, hint}. `changed` hears the value of a row that was chosen. */
export function Picker({ id, label, rows, value, changed, disabled, invalid }) {
  const [text, setText] = useState(null);
  const [at, setAt] = useState(0);
  const list = useRef(null);
  const chosen = rows.find((r) => r.value === value);
  const open = text !== null;
  const wanted = (text || "").trim().toLowerCase();
  const shown = open ? rows.filter((r) => `${r.label} ${r.hint || ""}`.toLowerCase().includes(wanted)) : [];

  const show = () => {
    setText("");
    setAt(Math.max(0, rows.indexOf(chosen)));
  };
  const take = (row) => {
    setText(null);
    if (row) changed(row.value);
  };
  const move = (to) => {
    setAt(to);
    list.current?.children[to]?.scrollIntoView({ block: "nearest" });
  };
  const keyed = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) return show();
      if (shown.length) move((at + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length);
    } else if (event.key === "Enter" && open) {
      event.preventDefault();
      take(shown[at]);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      setText(null);
    }
  };
  return html`<div class="field picker">
    <label for=${id}>${label}</label>
    <input id=${id} role="combobox" autocomplete="off" spellcheck="false" aria-autocomplete="list"
      aria-expanded=${String(open)} aria-controls="${id}-list" disabled=${disabled} aria-invalid=${invalid ? "true" : null}
      aria-activedescendant=${open && shown[at] ? `${id}-${shown[at].value || "any"}` : null}
      value=${open ? text : chosen?.label || ""} placeholder=${open && chosen ? chosen.label : "Search"}
      onFocus=${show} onClick=${() => !open && show()} onBlur=${() => setText(null)} onKeyDown=${keyed}
      onInput=${(e) => (setText(e.target.value), setAt(0))} />
    <ul id="${id}-list" role="listbox" aria-label=${label} ref=${list} hidden=${!open}>
      ${shown.map(
        (row, n) => html`<li id="${id}-${row.value || "any"}" role="option" aria-selected=${String(row.value === value)}
          class=${n === at ? "at" : ""} onMouseDown=${(e) => (e.preventDefault(), take(row))}>
          <span>${row.label}</span>${row.hint && html`<small>${row.hint}</small>`}
        </li>`,
      )}
      ${open && !shown.length && html`<li role="option" aria-selected="false" aria-disabled="true" class="none">Not here</li>`}
    </ul>
  </div>`;
}
