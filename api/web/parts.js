// Small pieces that several views use.
import { html, useEffect, useRef, useState } from "./lib/preact.js";
import { isPassing, POLL_MS } from "./api.js";
import { Icon } from "./icons.js";
import { STATUS, VERDICT } from "./words.js";

export const Status = ({ job }) => {
  const verdict = job.status === "completed" ? job.verdict : null;
  const kind = verdict && verdict !== "done" ? verdict : job.status;
  const text = job.is_cancelling ? "Cancelling" : verdict && verdict !== "pass" ? VERDICT[verdict] : STATUS[job.status];
  return html`<span class="status ${kind}">${text}</span>`;
};

export const Bar = ({ value, label }) => html`
  <div class="bar" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100"
    aria-valuenow=${Math.round(value)}><div style=${{ width: `${value}%` }}></div></div>`;

/** A problem, said aloud when it appears, with the way out. */
export const Trouble = ({ error, children }) =>
  error &&
  html`<div class="trouble" role="alert">
    <${Icon} name="warn" />
    <div>
      <p><strong>${error.message}</strong></p>
      ${error.hint?.trim() && html`<p>${error.hint}</p>`}
      ${error.errors?.length > 1 && html`<ul>${error.errors.map((e) => html`<li>${e.field}: ${e.message}</li>`)}</ul>`}
      ${children}
    </div>
  </div>`;

export const IconButton = ({ icon, label, ...rest }) =>
  html`<button type="button" class="icon-button" aria-label=${label} title=${label} ...${rest}><${Icon} name=${icon} /></button>`;

/** Ask before something is lost. `ask` is null, or what to show: {title, text, yes, act}. */
export function Confirm({ ask, done }) {
  const dialog = useRef(null);
  useEffect(() => {
    if (ask && !dialog.current.open) dialog.current.showModal();
    if (!ask && dialog.current.open) dialog.current.close();
  }, [ask]);
  return html`<dialog ref=${dialog} aria-labelledby="confirm-title" onClose=${() => done()}>
    ${ask &&
    html`<h2 id="confirm-title">${ask.title}</h2>
      <p>${ask.text}</p>
      <div class="row end">
        <button type="button" onClick=${() => done()}>Keep</button>
        <button type="button" class="danger" onClick=${() => (done(), ask.act())}>${ask.yes}</button>
      </div>`}
  </dialog>`;
}

/** What a promise gave: {data, error, again}; asked anew when `keys` change, and by itself while it may yet succeed. */
export function useAnswer(ask, keys) {
  const [state, setState] = useState({ data: null, error: null });
  const turn = useRef(0);
  const timer = useRef(0);
  const again = () => {
    const mine = ++turn.current;
    clearTimeout(timer.current);
    return ask().then(
      (data) => mine === turn.current && setState({ data, error: null }),
      (error) => {
        if (mine !== turn.current) return;
        if (isPassing(error)) timer.current = setTimeout(again, POLL_MS);
        setState((was) => ({ data: was.data, error }));
      },
    );
  };
  useEffect(() => {
    again();
    return () => {
      turn.current += 1;
      clearTimeout(timer.current);
    };
  }, keys);
  return { ...state, again };
}

export function useTitle(title) {
  useEffect(() => {
    document.title = title ? `${title} · Dubline` : "Dubline";
  }, [title]);
}

let announce = () => {};
export const listenToNews = (listener) => (announce = listener);
/** A short message at the foot of the page, read out by screen readers. */
export const say = (text) => announce(text);
export const sayProblem = (error) => say([error.message, error.hint].filter((s) => s?.trim()).join(" "));
