"""Timing of the finished file: where each line lies, and when it is heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from dubline.models import Line, MediaInfo, Placement, Span, Spoken, Timeline, Transcript
from dubline.quality.matching import Match
from dubline.quality.models import LineReport, Timing
from dubline.quality.sound import SoundFacts, overlap_iou

DISPLACED_S = 0.25
_AAC_FRAME = 1024


def laid(timeline: Timeline) -> list[Placement]:
    """Placements that hold sound, in order of time."""
    return sorted((p for p in timeline.placements if p.length_samples > 0), key=lambda p: p.start_sample)


def spans_of(placements: Sequence[Placement], rate_hz: int) -> list[Span]:
    """Their intervals in the file, in seconds."""
    return [
        Span(start_s=p.start_sample / rate_hz, end_s=(p.start_sample + p.length_samples) / rate_hz) for p in placements
    ]


def overlap_s(spans: Sequence[Span]) -> float:
    """Seconds in which a line sounds while an earlier one has not ended; `spans` in order of their start."""
    total, end_s = 0.0, float("-inf")
    for span in spans:
        total += max(0.0, min(span.end_s, end_s) - span.start_s)
        end_s = max(end_s, span.end_s)
    return round(total, 6)


def is_displaced(row: LineReport, track_shift_s: float | None) -> bool:
    """Whether a line lies elsewhere than it was laid, apart from a shift of the whole track."""
    return row.found_shift_s is not None and abs(row.found_shift_s - (track_shift_s or 0.0)) > DISPLACED_S


def length_tolerance_s(media: MediaInfo) -> float:
    """One video frame; one AAC frame where that is longer or there is no picture. A millisecond for rounding."""
    audio = next((s.sample_rate_hz for s in media.audio if s.sample_rate_hz > 0), 44_100)
    frame_s = 1.0 / media.video.fps if media.video is not None and media.video.fps > 0 else 0.0
    return round(max(frame_s, _AAC_FRAME / audio) + 0.001, 4)


def measure_timing(
    timeline: Timeline,
    lines: Sequence[Line],
    spoken: Sequence[Spoken],
    transcript: Transcript,
    sound: SoundFacts,
    line_wer: Mapping[str, float],
    matches: Sequence[Match],
    leaks_db: Sequence[float | None],
    *,
    media_s: float,
    output: MediaInfo,
) -> Timing:
    """Put together what was laid and what was heard. `sound`, `matches` and `leaks_db` follow `laid(timeline)`."""
    placements = laid(timeline)
    spans = spans_of(placements, timeline.sample_rate_hz)
    by_id = {line.utterance.id: line for line in lines}
    voices = {s.utterance_id: s for s in spoken}
    # Steps of a bed, and pauses inside lines, look like onsets; a line's own rise and fall does not.
    found = [m.shift_s for m in matches if m.shift_s is not None]
    track_shift_s = median(found) if found else sound.shift_s
    rows: list[LineReport] = []
    for number, (place, span) in enumerate(zip(placements, spans, strict=True)):
        onset_s, silent = sound.onsets_s[number], sound.silent[number]
        found_s = matches[number].shift_s
        if found_s is not None:
            onset_s = span.start_s + found_s
        line = by_id[place.utterance_id]
        heard = onset_s is not None and not silent
        voice = voices.get(place.utterance_id)
        rows.append(
            LineReport(
                utterance_id=place.utterance_id,
                start_s=round(span.start_s, 4),
                end_s=round(span.end_s, 4),
                source_start_s=round(line.utterance.start_s, 4),
                slot_s=round(place.slot_s, 4),
                natural_s=round(place.natural_s, 4),
                stretch=round(place.stretch, 4),
                phrases=len(place.parts),
                onset_error_s=round(
                    (onset_s if heard and onset_s is not None else span.start_s) - line.utterance.start_s, 4
                ),
                is_onset_measured=heard,
                drift_s=round(place.drift_s, 4),
                overrun_s=round(place.overrun_s, 4),
                source_text=line.utterance.text,
                target_text=line.text,
                wer=line_wer.get(place.utterance_id),
                found_shift_s=found_s,
                likeness=matches[number].likeness,
                original_voice_db=leaks_db[number],
                flat_share=sound.flat[number],
                is_silent=silent,
                is_fallback=voice is not None and voice.is_fallback,
                flags=line.flags,
            )
        )
    tolerance_s = length_tolerance_s(output)
    error_s = output.duration_s - media_s
    paces = [p.stretch for p in placements]
    return Timing(
        lines=tuple(rows),
        speech_overlap_iou=overlap_iou(transcript.speech, sound.voice, media_s) if placements else None,
        voice_source="line intervals trimmed to where the finished file sounds" if placements else "no line was spoken",
        share_pace_le_1_2=round(sum(p <= 1.2 + 1e-6 for p in paces) / len(paces), 4) if paces else None,
        onset_shift_s=round(track_shift_s, 4) if track_shift_s is not None else None,
        overlap_s=overlap_s(spans),
        displaced_lines=tuple(r.utterance_id for r in rows if is_displaced(r, track_shift_s)),
        length_error_s=round(error_s, 4),
        length_tolerance_s=tolerance_s,
        exact_length=abs(error_s) <= tolerance_s,
    )
