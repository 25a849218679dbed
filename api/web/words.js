// Numbers, times and names in words. Times are in seconds, sizes in bytes.

const two = (n) => String(Math.floor(n)).padStart(2, "0");

/** 75.24 -> "1:15.2" (or "1:15" with no digits). */
export function clock(at_s, digits = 0) {
  const unit = 10 ** digits;
  const all = Math.round(Math.max(0, at_s || 0) * unit);
  const whole = Math.floor(all / unit);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = digits ? `.${String(all % unit).padStart(digits, "0")}` : "";
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}${rest}`;
}

/** "1:15.2" or "75.2" -> 75.2; null when it is neither. */
export function seconds(text) {
  const parts = text.trim().split(":");
  if (parts.length > 3 || parts.some((p) => !/^\d+(\.\d+)?$/.test(p.trim()))) return null;
  return parts.reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** 75 -> "1 min 15 s". */
export function span(length_s) {
  const whole = Math.round(length_s);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

export function size(size_bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = size_bytes || 0;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || !unit ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** "in about 40 s", from an ISO time; empty when there is none. */
export function left(at) {
  if (!at) return "";
  const left_s = (Date.parse(at) - Date.now()) / 1000;
  return left_s < 1 ? "any moment" : `about ${span(left_s)} left`;
}

export function when(at) {
  if (!at) return "";
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], {
    ...(today ? {} : { day: "numeric", month: "short" }),
    hour: "2-digit",
    minute: "2-digit",
  });
}

const names = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

export function language(code) {
  if (!code || code === "auto") return "Detected";
  if (code === "und") return "Unknown";
  try {
    return names.of(code);
  } catch {
    return code;
  }
}

const said = (job) => job.detected_language || (job.source_language === "auto" ? null : job.source_language);

export const TYPES = { video_translate: "Dub", transcription: "Transcript", audio_extraction: "Sound only" };

export const pair = (job) =>
  job.target_language
    ? said(job)
      ? `${language(said(job))} to ${language(job.target_language)}`
      : `Into ${language(job.target_language)}`
    : TYPES[job.job_type] || job.job_type;

export const STATUS = {
  uploaded: "Stored",
  pending: "Not started",
  queued: "Waiting",
  processing: "Working",
  completed: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

export const VERDICT = { pass: "Good", review: "Have a look", fail: "Broken", done: "Done" };

export const share = (value) => (value === null || value === undefined ? "–" : `${Math.round(value * 1000) / 10} %`);

export const figure = (value, unit, digits = 1) =>
  value === null || value === undefined ? "–" : `${value.toFixed(digits)}\u202f${unit}`;
