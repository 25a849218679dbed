// The frame: header, the view that the address names, messages, the list of keys.
import { html, render, useLayoutEffect, useRef, useState } from "./lib/preact.js";
import { bind, lettersAreOn, listed, turnLetters } from "./keys.js";
import { listenToNews } from "./parts.js";
import { useSending } from "./sending.js";
import { Job } from "./views/job.js";
import { Jobs } from "./views/jobs.js";
import { New } from "./views/new.js";
import { System } from "./views/system.js";

const NEWS_MS = 7000;
const PLACES = [
  ["#/", "New"],
  ["#/jobs", "Jobs"],
  ["#/system", "System"],
];

function View({ at }) {
  const [, place, id] = at.split("/");
  if (place === "jobs" && id) return html`<${Job} key=${id} id=${id} />`;
  if (place === "jobs") return html`<${Jobs} />`;
  if (place === "system") return html`<${System} />`;
  return html`<${New} />`;
}

// A file that is let go beside its place must not take the page away.
for (const name of ["dragover", "drop"]) {
  addEventListener(name, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
}

/** What becomes of the upload, said where its form is not shown. */
function Note() {
  const now = useSending();
  if (!now) return null;
  const share = Math.round(now.share * 100);
  return html`<a class="note ${now.error ? "bad-text" : ""}" href="#/" title=${now.file.name}>
    ${now.error ? "Upload failed" : now.paused ? `Upload paused, ${share} %` : `Upload ${share} %`}</a>`;
}

function Keys({ dialog }) {
  const [letters, setLetters] = useState(lettersAreOn());
  const turn = (event) => {
    turnLetters(event.target.checked);
    setLetters(event.target.checked);
  };
  return html`<dialog ref=${dialog} aria-labelledby="keys-title">
    <h2 id="keys-title">Keys</h2>
    ${listed().map(
      ({ group, rows }) => html`<h3>${group}</h3>
        <dl class="keys">
          ${rows.map((r) => html`<div><dt><kbd>${r.shown || r.key}</kbd></dt><dd>${r.does}</dd></div>`)}
        </dl>`,
    )}
    <label class="check"><input type="checkbox" checked=${letters} onChange=${turn} /> Single keys without Ctrl or Alt</label>
    <form method="dialog" class="row end"><button>Close</button></form>
  </dialog>`;
}

function App() {
  const [at, setAt] = useState(location.hash || "#/");
  const [news, setNews] = useState("");
  const [, again] = useState(0);
  const main = useRef(null);
  const keys = useRef(null);
  const showKeys = () => {
    again((n) => n + 1);
    keys.current.showModal();
  };
  // Before the browser paints, not after it: what is seen can be used.
  useLayoutEffect(() => {
    const turned = () => {
      setAt(location.hash || "#/");
      scrollTo(0, 0);
      main.current.focus({ preventScroll: true });
    };
    addEventListener("hashchange", turned);
    return () => removeEventListener("hashchange", turned);
  }, []);
  useLayoutEffect(() => {
    let timer = 0;
    listenToNews((text) => {
      clearTimeout(timer);
      setNews(text);
      timer = setTimeout(() => setNews(""), NEWS_MS);
    });
  }, []);
  useLayoutEffect(
    () =>
      bind("Everywhere", [
        { key: "n", does: "A new dub", act: () => (location.hash = "#/") },
        { key: "j", does: "The jobs", act: () => (location.hash = "#/jobs") },
        { key: "s", does: "The system", act: () => (location.hash = "#/system") },
        { key: "?", does: "These keys", act: showKeys },
      ]),
    [],
  );
  const here = (place) => (place === "#/" ? /^#?\/?$/.test(at) : at.startsWith(place));
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>To the content</a>
    <header class="top">
      <a class="brand" href="#/" aria-label="Dubline"><img src="/web/mark.svg" alt="" width="28" height="28" /><span>Dubline</span></a>
      <nav aria-label="Main">
        ${PLACES.map(([place, name]) => html`<a href=${place} aria-current=${here(place) ? "page" : null}>${name}</a>`)}
      </nav>
      ${!here("#/") && html`<${Note} />`}
      <button type="button" class="icon-button help" aria-label="Keys" title="Keys (?)" onClick=${showKeys}>?</button>
    </header>
    <main id="main" class="page" ref=${main} tabindex="-1"><${View} at=${at} /></main>
    <div class="news" role="status" aria-live="polite">${news && html`<p>${news}</p>`}</div>
    <${Keys} dialog=${keys} />
  `;
}

export function start(root) {
  render(html`<${App} />`, root);
}
