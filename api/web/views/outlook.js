// What a dub will take, said before it is asked for.
import { html, useEffect, useState } from "../lib/preact.js";
import { get } from "../api.js";
import { useAnswer } from "../parts.js";
import { span } from "../words.js";

const METADATA_MS = 5000;

/** Length of a file in seconds, as far as the browser can read it; null when it cannot. */
function lengthOf(file) {
  return new Promise((done) => {
    const media = document.createElement("video");
    const address = URL.createObjectURL(file);
    const end = (length_s) => {
      clearTimeout(patience);
      URL.revokeObjectURL(address);
      media.removeAttribute("src");
      done(Number.isFinite(length_s) && length_s > 0 ? length_s : null);
    };
    const patience = setTimeout(end, METADATA_MS, null);
    media.preload = "metadata";
    media.onloadedmetadata = () => end(media.duration);
    media.onerror = () => end(null);
    media.src = address;
  });
}

export function Outlook({ file, target }) {
  const [length_s, setLength] = useState(null);
  useEffect(() => {
    let current = true;
    setLength(null);
    if (file) lengthOf(file).then((found) => current && setLength(found));
    return () => (current = false);
  }, [file]);
  const answer = useAnswer(
    () =>
      length_s && target
        ? get(`/api/v1/estimate?${new URLSearchParams({ media_seconds: length_s, target_language: target })}`)
        : Promise.resolve(null),
    [length_s, target],
  );
  const found = answer.data;
  if (!length_s || !found) return null;
  return html`<p class="outlook" role="status">
    ${span(length_s)} of video: ready about ${span(Math.max(1, found.processing_seconds + found.waiting_seconds))} after the upload${" "}
    <span class="dim">(${found.waiting_seconds >= 1 ? `${span(found.waiting_seconds)} of that in the queue, ` : ""}${found.basis === "jobs" ? "as the last dubs here took" : "a guess until the first dub here"}).
    It costs ${span(Math.max(1, found.processor_seconds))} of processor time and no money.</span>
  </p>`;
}
