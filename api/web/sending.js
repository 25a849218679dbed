// The upload that is under way: kept here and not in a view, so that it goes on while other views are shown.
import { post, upload } from "./api.js";
import { useEffect, useState } from "./lib/preact.js";

let now = null;
let carrier = null;
// The file that is there already is not sent again when only a choice was refused.
let stored = null;
const listeners = new Set();

function set(state) {
  now = state;
  for (const listener of listeners) listener(now);
}

/** {file, form, share, paused, error}, or null while nothing is sent. `error` is why it ended before there was a job. */
export function useSending() {
  const [state, setState] = useState(now);
  useEffect(() => {
    listeners.add(setState);
    setState(now);
    return () => listeners.delete(setState);
  }, []);
  return state;
}

/** What is sent now, or what was to be sent when it failed. */
export const kept = () => now;
export const forget = () => now?.error && set(null);

/** Send a file and ask for its job; gives the job, or null. `form` is what the view needs to show itself again. */
export async function send(file, form, fields) {
  set({ file, form, share: 0, paused: false, error: null });
  try {
    if (stored?.file !== file) {
      carrier = upload(file, (share) => set({ ...now, share }));
      stored = { file, id: await carrier.done };
    }
    set({ ...now, share: 1 });
    const job = await post("/api/v1/jobs", { ...fields, file_id: stored.id });
    set(null);
    return job;
  } catch (error) {
    if (error.status === 404) stored = null;
    set(error.code === "stopped" ? null : { ...now, error });
    return null;
  } finally {
    carrier = null;
  }
}

export function hold() {
  carrier?.[now.paused ? "resume" : "pause"]();
  set({ ...now, paused: !now.paused });
}

export const stop = () => carrier?.stop();

addEventListener("beforeunload", (event) => {
  if (now && !now.error) event.preventDefault();
});
