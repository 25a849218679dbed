// Drawn for 20 by 20, in the colour of the text around them; what they mean is said by the button they stand in.
import { html } from "./lib/preact.js";

const PATHS = {
  play: "M6 4.5v11l9-5.5z",
  pause: "M6.500 4.500v11M13.500 4.500v11",
  close: "M5 5l10 10M15 5L5 15",
  retry: "M15.500 8A6 6 0 1 0 16 11.500M16 4v4h-4",
  bin: "M4 6h12M8 6V4h4v2M6 6l.7 10h6.600L14 6",
  fetch: "M10 3.500v9M6 9l4 4 4-4M4 16.500h12",
  split: "M10 3v4M10 13v4M3.500 10h13M6 7.500L3.500 10 6 12.500M14 7.500l2.500 2.500-2.500 2.500",
  merge: "M5 4v4l5 4 5-4V4M10 12v5",
  undo: "M7 5L3.500 8.500 7 12M4 8.500h7.500a4.500 4.500 0 0 1 0 9H8",
  done: "M4.500 10.500l4 4 7-9",
  warn: "M10 3.500L17.500 16.500h-15zM10 8.500v3.500M10 14.300v.2",
  film: "M3 4.500h14v11H3zM7 4.500v11M13 4.500v11M3 10h14",
  up: "M10 14.500v-10M5.500 8.500L10 4l4.500 4.500M4 17h12",
  more: "M5 10h.01M10 10h.01M15 10h.01",
};

export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor"
    stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"><path d=${PATHS[name]} /></svg>`;
