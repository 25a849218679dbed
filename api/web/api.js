// The public API, as the page uses it. Nothing else here talks to the network.

export const ENDED = new Set(["completed", "failed", "cancelled"]);
export const POLL_MS = 2000;
const POLLS_BEFORE_STREAM = 8;

/** A refusal or a fault, as the service's problem document tells it. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || "The service does not answer.");
    this.status = status;
    this.code = body?.code || "unreachable";
    this.hint = body?.hint || (status ? "" : "Look whether it still runs.");
    this.errors = Array.isArray(body?.errors) ? body.errors : [];
  }
}

const AGAIN = "The page tries again by itself.";

/** Whether a problem may be over soon, so that the view asks again; then it says so. */
export function isPassing(error) {
  if (error.code !== "unreachable" && error.status !== 503) return false;
  if (!error.hint.includes(AGAIN)) error.hint = `${error.hint} ${AGAIN}`.trim();
  return true;
}

const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

export async function call(method, path, body, { accept = [] } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, null);
  }
  const data = parsed(await answer.text());
  if (!answer.ok && !accept.includes(answer.status)) throw new Problem(answer.status, data);
  return data;
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body) => call("POST", path, body);

/** Plays a short sound: {started, ended, stop}. `started` fails with the problem that the service told. */
export function sound(path) {
  const player = new Audio();
  const over = Promise.withResolvers();
  const begin = async () => {
    const answer = await fetch(path, { headers: { Accept: "audio/wav, application/json" } }).catch(() => {
      throw new Problem(0, null);
    });
    if (!answer.ok) throw new Problem(answer.status, parsed(await answer.text()));
    const address = URL.createObjectURL(await answer.blob());
    over.promise.finally(() => URL.revokeObjectURL(address));
    player.onended = over.resolve;
    player.onerror = over.resolve;
    player.src = address;
    if (!stopped) await player.play();
  };
  let stopped = false;
  const stop = () => {
    stopped = true;
    player.pause();
    over.resolve();
  };
  return { started: begin(), ended: over.promise, stop };
}

const known = new Map();

/** A GET whose answer stays the same while the service runs; a failed one is asked again. */
export function once(path) {
  if (!known.has(path)) {
    known.set(
      path,
      get(path).catch((error) => {
        known.delete(path);
        throw error;
      }),
    );
  }
  return known.get(path);
}

export const jobPath = (id, rest = "") => `/api/v1/jobs/${encodeURIComponent(id)}${rest}`;

/** The address of an artifact. The attempt keeps a browser from showing what was made before. */
export const artifactPath = (job, name) => jobPath(job.id, `/artifacts/${name}?attempt=${job.attempt}`);

let sender = null;

/** The library for uploads in pieces, fetched when the first file is sent: it is larger than the rest of the page. */
function tus() {
  sender ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/web/lib/tus.js";
    script.onload = () => resolve(window.tus);
    script.onerror = () => {
      sender = null;
      reject(new Problem(0, { detail: "A library of the page is not installed.", code: "library", hint: "Run `make setup` with npm." }));
    };
    document.head.append(script);
  });
  return sender;
}

/**
 * Store a file; `told` hears the share sent, 0 … 1. A cut line is taken up again, and so is what an earlier visit left of
 * the same file. Gives the promise of the file's id, and ways to pause, to go on and to stop.
 */
export function upload(file, told) {
  let sending = null;
  let held = false;
  let stopped = false;
  const end = Promise.withResolvers();
  const begin = async () => {
    const library = await tus();
    const carrier = new library.Upload(file, {
      endpoint: "/api/v1/uploads",
      metadata: { filename: file.name },
      retryDelays: [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000],
      removeFingerprintOnSuccess: true,
      onProgress: (have, all) => stopped || told(have / all),
      onSuccess: () => end.resolve(new URL(carrier.url, location.href).pathname.split("/").pop()),
      onError: (error) => {
        const answer = error.originalResponse;
        const hint = "Start it again when the service answers: it goes on where it was.";
        end.reject(new Problem(answer?.getStatus() || 0, answer ? parsed(answer.getBody()) : { hint }));
      },
    });
    const earlier = await carrier.findPreviousUploads();
    earlier.sort((a, b) => Date.parse(b.creationTime) - Date.parse(a.creationTime));
    if (earlier.length) carrier.resumeFromPreviousUpload(earlier[0]);
    if (stopped) return;
    sending = carrier;
    if (!held) sending.start();
  };
  begin().catch(end.reject);
  return {
    done: end.promise,
    pause: () => {
      held = true;
      sending?.abort();
    },
    resume: () => {
      held = false;
      sending?.start();
    },
    stop: () => {
      stopped = true;
      sending?.abort(true).catch(() => {});
      end.reject(new Problem(0, { detail: "The upload was stopped.", code: "stopped", hint: " " }));
    },
  };
}

/** Follow one job until it ends: events while the stream stands, otherwise a look every two seconds. */
export function follow(id, { heard, lost }) {
  let source = null;
  let timer = 0;
  let polls = 0;
  let stopped = false;

  const told = (job) => {
    if (stopped) return;
    heard(job);
    if (ENDED.has(job.status)) stop();
  };
  const poll = async () => {
    try {
      told(await get(jobPath(id)));
      lost(null);
    } catch (error) {
      if (!stopped) lost(error);
    }
    if (stopped) return;
    polls += 1;
    if (polls % POLLS_BEFORE_STREAM === 0) listen();
    else timer = setTimeout(poll, POLL_MS);
  };
  const listen = () => {
    source = new EventSource(jobPath(id, "/stream"));
    source.onmessage = (event) => {
      const body = parsed(event.data);
      lost(null);
      if (body?.type === "status") told(body);
    };
    source.onerror = () => {
      source.close();
      if (!stopped) poll();
    };
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    source?.close();
  };
  listen();
  return stop;
}

/** Call `changed` when any job changed, and now and then in any case. */
export function watchJobs(changed) {
  let socket = null;
  let stopped = false;
  let timer = 0;
  let due = 0;
  const soon = () => {
    if (!due) due = setTimeout(() => ((due = 0), changed()), 250);
  };
  const connect = () => {
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/jobs/broadcast`);
    socket.onmessage = (event) => parsed(event.data)?.type !== "ping" && soon();
    socket.onclose = () => {
      if (stopped) return;
      soon();
      timer = setTimeout(connect, POLL_MS);
    };
  };
  const pulse = setInterval(soon, 5 * POLL_MS);
  connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    clearTimeout(due);
    clearInterval(pulse);
    socket.onclose = null;
    socket.close();
  };
}
