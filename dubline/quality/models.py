"""The content of `report.json`. Seconds end in `_s`, shares run from 0 to 1; None means not measured, with a reason."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from dubline.models import DroppedSegment, EngineChoice, Frozen, Span, StageStats

Verdict = Literal["pass", "review", "fail"]


class FileFacts(Frozen):
    """A file by content."""

    sha256: str
    size_bytes: int


class Provenance(Frozen):
    """Where the result comes from and what it cost."""

    dubline_version: str
    source: FileFacts
    output: FileFacts
    media_s: float = Field(description="Length of the source in seconds.")
    engines: tuple[EngineChoice, ...] = Field(description="Engine, version, weights and voice of each kind.")
    stages: tuple[StageStats, ...] = Field(description="Cost of each task when it really ran, in seconds.")
    rtf: dict[str, float] = Field(description="Real-time factor by stage: task seconds over media seconds.")


class Recognition(Frozen):
    """How far the transcript can be trusted."""

    language: str
    probability: float = Field(description="The recogniser's own certainty about the language, 0 … 1.")
    speech_s: float = Field(description="Seconds of voice activity in the source.")
    speech_coverage: float | None = Field(description="Share of that speech that the transcript's segments cover.")
    wordless: tuple[Span, ...] = Field(
        default=(),
        description="Stretches of that speech, 0.3 s or longer, in which no word was recognised.",
    )
    median_log_probability: float | None = Field(description="Median of the segments' mean token log-probability.")
    dropped: tuple[DroppedSegment, ...] = Field(description="What was recognised and not believed, and why.")
    repeated_phrases: tuple[str, ...] = Field(description="Phrases said three times or more in a row.")


class GlossaryMiss(Frozen):
    utterance_id: str
    term: str
    wanted: str


class Translation(Frozen):
    """What the translation kept and lost."""

    lines: int
    untranslated: tuple[str, ...] = Field(description="Ids of lines that still hold the source's words.")
    empty: tuple[str, ...] = Field(description="Ids of lines with source text and no target text.")
    numbers: int = Field(description="Numbers written in digits in the source text.")
    numbers_kept: float | None = Field(description="Share of them found again in the target: digits, words or Roman.")
    numbers_lost: tuple[str, ...] = Field(description="Ids of lines that lost a number.")
    glossary_hits: int
    glossary_misses: tuple[GlossaryMiss, ...]
    length_ratio_median: float | None = Field(description="Median of target over source characters by line.")
    back_translation_chrf: float | None = Field(description="Corpus chrF (0 … 100) of target translated back.")
    back_translation_reason: str = ""


class LineReport(Frozen):
    """One line of the dub. Positions in seconds on the media's timeline."""

    utterance_id: str
    start_s: float = Field(description="Where the line starts in the finished file.")
    end_s: float
    source_start_s: float = Field(description="Where the source's speaker starts.")
    slot_s: float = Field(description="Time the line may fill.")
    natural_s: float = Field(description="Length of the line as the voice spoke it.")
    stretch: float = Field(description="Playback factor of its fastest phrase; above 1 is faster.")
    phrases: int = Field(default=1, description="Parts laid one by one, each at an onset of the source.")
    onset_error_s: float = Field(description="Onset less the source's onset; above 0 is late.")
    is_onset_measured: bool = Field(description="True: heard in the finished file; False: from the laid sample.")
    drift_s: float = Field(description="Delay carried over from the line before.")
    overrun_s: float = Field(description="How far the line runs past its slot.")
    source_text: str
    target_text: str
    wer: float | None = Field(default=None, description="Word error rate of what a recogniser heard; None: not heard.")
    found_shift_s: float | None = Field(
        default=None, description="Where the line's own sound is found, less where it was laid; None: not for sure."
    )
    likeness: float | None = Field(default=None, description="How alike the two sound there, at best 1.")
    original_voice_db: float | None = Field(
        default=None, description="Level of the original voice under the line, against the source; None: none speaks."
    )
    flat_share: float = Field(
        default=0.0, description="Share of samples near the line's peak: clipped speech has many."
    )
    is_silent: bool = False
    is_fallback: bool = Field(default=False, description="Spoken by the fallback voice.")
    flags: tuple[str, ...] = ()


class Timing(Frozen):
    """Isochrony. `voice_source` names what the overlap was measured on."""

    lines: tuple[LineReport, ...]
    speech_overlap_iou: float | None = Field(description="Source speech and dubbed speech: intersection over union.")
    voice_source: str
    share_pace_le_1_2: float | None = Field(description="Share of lines with a stretch of 1.2 or less.")
    onset_shift_s: float | None = Field(description="Heard less laid onset, as most lines agree.")
    overlap_s: float = Field(description="Seconds in which two lines sound at once.")
    length_error_s: float = Field(description="Length of the output less that of the source.")
    displaced_lines: tuple[str, ...] = Field(default=(), description="Ids of lines that lie elsewhere than laid.")
    length_tolerance_s: float = Field(description="One video frame, or one audio frame where that is longer.")
    exact_length: bool


class VoiceQuality(Frozen):
    """What a listener hears: the finished sound recognised again and compared with the lines."""

    listened_s: float
    listened_lines: int
    remembered_lines: int = Field(
        default=0, description="Those of them that were listened to in an earlier render, in which they lay the same."
    )
    words: int = Field(description="Reference words compared.")
    wer: float | None
    cer: float | None
    reason: str = Field(default="", description="Why nothing was listened to.")
    last_resort: str = Field(default="", description="Why the voice is a mechanical one, where nobody asked for it.")
    fallback_lines: tuple[str, ...] = Field(description="Ids of lines in a fallback voice.")
    silent_lines: tuple[str, ...] = Field(description="Ids of lines that cannot be heard in the finished file.")
    misheard_lines: tuple[str, ...] = Field(default=(), description="Ids of lines a recogniser hears as other words.")
    unlike_lines: tuple[str, ...] = Field(default=(), description="Ids of lines in whose place another sound is.")
    clipped_lines: tuple[str, ...] = Field(default=(), description="Ids of lines whose peaks are cut flat.")
    unspoken_lines: tuple[str, ...] = Field(description="Ids of lines with nothing that can be spoken.")
    clipped_share: float = Field(description="Share of sample values at full scale.")


class SpeakerReport(Frozen):
    """One of the source's speakers, and the voice that dubs them."""

    label: str = Field(description="`S1`, `S2` … in order of first speaking.")
    voice: str
    pitch_hz: float | None = Field(description="Median pitch in the source; None: too little of it is voiced.")
    speech_s: float = Field(description="Seconds of speech in the source.")
    lines: int


class SpeakersQuality(Frozen):
    """Who speaks in the source, and whether each line of the dub is in its speaker's voice."""

    rows: tuple[SpeakerReport, ...] = Field(default=(), description="Empty when speakers were not told apart.")
    reason: str = Field(default="", description="Why they were not told apart.")
    is_asked: bool = Field(default=False, description="Whether telling them apart was asked for.")
    shared_voices: int = Field(default=0, description="Speakers who share a voice with another one.")
    judged_lines: int = Field(default=0, description="Lines whose voice was compared with the other lines' voices.")
    judge_reason: str = Field(default="", description="Why no line was.")
    swapped_lines: tuple[str, ...] = Field(default=(), description="Ids of lines heard in another speaker's voice.")


class MixQuality(Frozen):
    """Levels of the finished file, ITU-R BS.1770-4."""

    bed: Literal["ducked", "separated", "kept", "muted"] = Field(
        default="ducked", description="What became of the original sound under the voice."
    )
    duck_db: float = Field(default=0.0, description="The bed's mean gain under speech.")
    original_voice_db: float | None = Field(
        default=None, description="Level of the original voice in the result, against the source; -40 or less is none."
    )
    leaking_lines: tuple[str, ...] = Field(default=(), description="Ids of lines under which it can be heard.")

    integrated_lufs: float | None
    source_voice_lufs: float | None = Field(description="Loudness of the source where somebody speaks.")
    dub_voice_lufs: float | None = Field(description="Loudness of the finished file where lines lie.")
    loudness_error_lu: float | None = Field(description="The second less the first.")
    true_peak_dbtp: float | None
    bed_below_voice_db: float | None = Field(description="How far the bed lies below the voice, at the least, in dB.")
    limited_share: float = Field(description="Share of milliseconds the limiter touched.")


class TrackReport(Frozen):
    """One stream of the finished file."""

    kind: str
    codec: str
    language: str | None
    is_default: bool
    duration_s: float
    size: str = Field(description="Picture size and frame rate, or sample rate and layout.")


class SubtitleBreak(Frozen):
    """A subtitle that breaks a rule."""

    track: Literal["target", "source"]
    rule: str
    start_s: float
    text: str


class Container(Frozen):
    container: str
    streams: tuple[TrackReport, ...]
    video_stream_hash_equal: bool | None
    video_stream_hash_reason: str = ""
    subtitle_cues: int
    subtitle_rule_breaks: dict[str, int] = Field(description="Breaks by rule, target and source subtitles together.")
    subtitle_breaks: tuple[SubtitleBreak, ...] = Field(description="The first ten.")
    subtitle_distance_s: float | None = Field(
        default=None,
        description="90th percentile of the seconds by which the dub's cues come up before or after their words: fast "
        "talk shares the pauses so that it can be read.",
    )


class WorstLine(Frozen):
    """A line that a person should look at, and what would mend it."""

    utterance_id: str
    start_s: float
    problem: str
    mend: str
    proposal: str = Field(default="", description="A text that fits, when the translator had one.")


class Report(Frozen):
    """All measures of one job."""

    schema_version: Literal[1] = 1
    verdict: Verdict
    message: str
    reasons: tuple[str, ...]
    provenance: Provenance
    recognition: Recognition
    translation: Translation
    timing: Timing
    voice: VoiceQuality
    speakers: SpeakersQuality = SpeakersQuality()
    mix: MixQuality
    container: Container
    worst_lines: tuple[WorstLine, ...]
    run: dict[str, Any] | None = Field(default=None, description="What the run that wrote this file cost, not the job.")
