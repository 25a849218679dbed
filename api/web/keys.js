// Keys of the page. A view adds its own while it is shown; single letters can be turned off (WCAG 2.1.4).

const STORE = "dubline.keys";
const bound = [];

export const lettersAreOn = () => localStorage.getItem(STORE) !== "off";
export const turnLetters = (on) => localStorage.setItem(STORE, on ? "on" : "off");

/** Bind rows of {key, does, act, plain}; returns how to take them back. `plain` keys need no modifier. */
export function bind(group, rows) {
  const entry = { group, rows };
  bound.push(entry);
  return () => bound.splice(bound.indexOf(entry), 1);
}

export const listed = () => bound.filter((e) => e.rows.length);

const inField = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

function name(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && event.key.length > 1 ? "Shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift}${key}`;
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const key = name(event);
  const isPlain = !/^(Ctrl|Alt)/.test(key);
  if (isPlain && (inField(event.target) || !lettersAreOn())) return;
  // A button's own key must not do two things at once.
  if (key === "Space" && event.target.closest?.("button, a, summary, video, audio, label, [role=option]")) return;
  for (const { rows } of [...bound].reverse()) {
    const row = rows.find((r) => r.key === key && (!r.outside || !inField(event.target)));
    if (row) {
      event.preventDefault();
      row.act();
      return;
    }
  }
});
