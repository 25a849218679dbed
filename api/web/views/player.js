// The dub, with the original sound in its place when wanted, subtitles, and the waveform with the lines in it.
import { html, useEffect, useRef, useState } from "../lib/preact.js";
import { artifactPath, get } from "../api.js";
import { bind } from "../keys.js";
import { clock, language } from "../words.js";

const DRIFT_S = 0.12;
const STEP_S = 5;

/** Keep the original sound with the picture, which runs muted meanwhile. */
function useOriginal(video, audio, on) {
  useEffect(() => {
    const [picture, sound] = [video.current, audio.current];
    if (!picture || !sound) return undefined;
    picture.muted = on;
    if (!on) {
      sound.pause();
      return undefined;
    }
    const place = () => Math.abs(sound.currentTime - picture.currentTime) > DRIFT_S && (sound.currentTime = picture.currentTime);
    const match = () => {
      sound.playbackRate = picture.playbackRate;
      sound.volume = picture.volume;
      place();
      if (picture.paused) sound.pause();
      else sound.play().catch(() => {});
    };
    const names = ["play", "playing", "pause", "seeked", "ratechange", "volumechange", "waiting"];
    for (const name of names) picture.addEventListener(name, match);
    picture.addEventListener("timeupdate", place);
    match();
    return () => {
      for (const name of names) picture.removeEventListener(name, match);
      picture.removeEventListener("timeupdate", place);
      sound.pause();
    };
  }, [on]);
}

/** The waveform; without its library, or without peaks, there is none and nothing else is missing. */
function Wave({ video, peaksPath, spans }) {
  const box = useRef(null);
  useEffect(() => {
    let wave = null;
    let gone = false;
    const draw = async () => {
      const [{ default: WaveSurfer }, { default: Regions }, peaks] = await Promise.all([
        import("../lib/wavesurfer.js"),
        import("../lib/regions.js"),
        get(peaksPath),
      ]);
      if (video.current && !(video.current.duration > 0)) {
        await new Promise((resolve) => video.current.addEventListener("loadedmetadata", resolve, { once: true }));
      }
      if (gone || !Array.isArray(peaks)) return;
      const style = getComputedStyle(box.current);
      const regions = Regions.create();
      wave = WaveSurfer.create({
        container: box.current,
        media: video.current,
        peaks: [peaks],
        duration: video.current.duration,
        height: 64,
        barWidth: 2,
        barGap: 1,
        barRadius: 2,
        normalize: true,
        cursorWidth: 2,
        cursorColor: style.getPropertyValue("--ink"),
        waveColor: style.getPropertyValue("--wave"),
        progressColor: style.getPropertyValue("--accent"),
        cspNonce: document.querySelector("meta[name=csp-nonce]")?.content,
        plugins: [regions],
      });
      const color = style.getPropertyValue("--region");
      wave.on("ready", () => {
        for (const row of spans) regions.addRegion({ start: row.start_s, end: row.end_s, color, drag: false, resize: false });
      });
      regions.on("region-clicked", (region) => {
        video.current.currentTime = region.start;
        video.current.play();
      });
    };
    draw().catch(() => box.current && (box.current.hidden = true));
    return () => {
      gone = true;
      wave?.destroy();
    };
  }, [peaksPath, spans.length]);
  return html`<div class="wave" ref=${box} aria-hidden="true"></div>`;
}

export function Player({ job, artifacts, lines, timing, hand, moved }) {
  const video = useRef(null);
  const audio = useRef(null);
  const stopAt = useRef(null);
  const [original, setOriginal] = useState(false);
  const [track, setTrack] = useState("");
  const has = (name) => artifacts.find((a) => a.name === name);
  const isSound = has("video").media_type.startsWith("audio/");
  const source = job.detected_language || job.source_language;
  const tracks = [
    ["subtitles_target_vtt", job.target_language],
    ["subtitles_source_vtt", source],
  ].filter(([name]) => has(name));
  // Where a line is heard is known by the report; without one, where its source was said.
  const heard = new Map(timing.map((row) => [row.utterance_id, row]));
  const spans = lines.map((row) => {
    const place = heard.get(row.id);
    return {
      id: row.id,
      start_s: row.spoken_start_s ?? place?.start_s ?? row.start_s,
      end_s: row.spoken_end_s ?? place?.end_s ?? row.end_s,
    };
  });
  const latest = useRef(spans);
  latest.current = spans;

  useOriginal(video, audio, original);
  useEffect(() => {
    [...video.current.textTracks].forEach((t, n) => {
      t.mode = tracks[n]?.[0] === track ? "showing" : "disabled";
    });
  }, [track, tracks.length]);
  useEffect(() => {
    hand.current = {
      play(from_s, to_s) {
        video.current.currentTime = from_s;
        stopAt.current = to_s ?? null;
        video.current.play();
      },
    };
    return () => {
      hand.current = null;
    };
  }, []);
  const ticked = () => {
    const at_s = video.current.currentTime;
    if (stopAt.current !== null && at_s >= stopAt.current) {
      stopAt.current = null;
      video.current.pause();
    }
    moved(latest.current.find((row) => at_s >= row.start_s && at_s < row.end_s)?.id ?? null);
  };
  useEffect(() => {
    const jump = (by_s) => () => (video.current.currentTime += by_s);
    return bind("Player", [
      { key: "Space", does: "Play or pause", act: () => (video.current.paused ? video.current.play() : video.current.pause()) },
      { key: "ArrowLeft", shown: "←", does: "Five seconds back", act: jump(-STEP_S) },
      { key: "ArrowRight", shown: "→", does: "Five seconds on", act: jump(STEP_S) },
      { key: "o", does: "Original sound or dub", act: () => has("audio_source") && setOriginal((on) => !on) },
      { key: "c", does: "Subtitles on or off", act: () => setTrack((now) => (now ? "" : tracks[0]?.[0] || "")) },
    ]);
  }, [tracks.length]);

  const choice = (on, name) =>
    html`<button type="button" aria-pressed=${String(original === on)} onClick=${() => setOriginal(on)}>${name}</button>`;
  return html`<section class="card player" aria-label="Player">
    <video ref=${video} class=${isSound ? "sound-only" : ""} src=${artifactPath(job, "video")} controls playsinline preload="metadata"
      poster=${has("thumbnail2") && !isSound ? artifactPath(job, "thumbnail2") : undefined} onTimeUpdate=${ticked}>
      ${tracks.map(([name, code]) => html`<track key=${name} kind="subtitles" src=${artifactPath(job, name)} srclang=${code} label=${language(code)} />`)}
    </video>
    ${has("audio_source") && html`<audio ref=${audio} src=${artifactPath(job, "audio_source")} preload="none"></audio>`}
    <div class="row between">
      ${has("audio_source") &&
      html`<div class="switch" role="group" aria-label="Sound">${choice(false, language(job.target_language))}${choice(true, "Original")}</div>`}
      ${tracks.length > 0 &&
      html`<label class="inline">Subtitles
        <select onChange=${(e) => setTrack(e.target.value)}>
          <option value="" selected=${!track}>Off</option>
          ${tracks.map(([name, code]) => html`<option value=${name} selected=${track === name}>${language(code)}</option>`)}
        </select></label>`}
    </div>
    ${has("peaks") && html`<${Wave} video=${video} peaksPath=${artifactPath(job, "peaks")} spans=${spans} />`}
    <p class="hidden">${spans.length} lines, ${clock(job.media_duration_seconds)} long</p>
  </section>`;
}
