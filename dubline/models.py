"""The nouns of a dub. All frozen; times are float seconds on the presentation timeline of the source.

Time zero is the start of the earliest stream of the source (what a player shows as 0:00); an audio track that
starts later keeps its delay.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Background = Literal["duck", "keep", "mute", "separate"]
SubtitleMode = Literal["none", "sidecar", "embedded", "burned"]
Profile = Literal["natural", "strict"]
Listen = Literal["sample", "all", "off"]
SpeakerCount = Literal["auto", "one"] | Annotated[int, Field(ge=1, le=20)]
"""`auto` finds out who speaks; `one` gives everybody one voice; a number says how many there are."""


class Frozen(BaseModel):
    """Base of all domain types."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ArtifactRef(Frozen):
    """A stored object, by content. `uri` is relative to the artifact store (`artifact:blobs/…`)."""

    uri: str
    sha256: str
    size_bytes: int
    media_type: str


class StreamInfo(Frozen):
    """One stream of a container, as probed (never trusted for security)."""

    index: int
    kind: Literal["video", "audio", "subtitle", "data", "attachment"]
    codec: str
    language: str | None = None
    is_default: bool = False
    is_attached_picture: bool = False
    is_decodable: bool = True
    start_s: float = 0.0
    duration_s: float = 0.0
    packets: int = 0
    has_timestamps: bool = True
    width: int = 0
    height: int = 0
    fps: float = 0.0
    pixel_format: str = ""
    sample_rate_hz: int = 0
    channels: int = 0
    channel_layout: str = ""


class MediaInfo(Frozen):
    """What ingest learnt. `duration_s` is measured from the packets, from the earliest stream's start."""

    container: str
    size_bytes: int
    duration_s: float
    start_s: float = 0.0
    streams: tuple[StreamInfo, ...] = ()

    @property
    def video(self) -> StreamInfo | None:
        """The moving picture: first decodable video stream that is no cover art and holds packets."""
        rows = [s for s in self.streams if s.kind == "video" and not s.is_attached_picture and s.packets > 0]
        return next((s for s in rows if s.is_default), rows[0] if rows else None)

    @property
    def audio(self) -> tuple[StreamInfo, ...]:
        """Audio streams that hold packets."""
        return tuple(s for s in self.streams if s.kind == "audio" and s.packets > 0)

    def stream(self, index: int) -> StreamInfo:
        return next(s for s in self.streams if s.index == index)


class Span(Frozen):
    """A stretch of time."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


class SpeakerTurn(Span):
    """A stretch of time in which one speaker speaks."""

    speaker: str


class Speaker(Frozen):
    """One of those who speak. `pitch_hz` is the median of the voiced sound; None where too little of it was found."""

    label: str
    pitch_hz: float | None
    speech_s: float


class Speakers(Frozen):
    """Who speaks when, in order of time; labels `S1`, `S2` … in order of first speaking."""

    turns: tuple[SpeakerTurn, ...] = ()
    speakers: tuple[Speaker, ...] = ()


class Word(Frozen):
    start_s: float
    end_s: float
    text: str
    probability: float = 1.0


class Segment(Frozen):
    """STT output: a run of words with the model's own doubts.

    `begins_common`: its first word has a capital, and the recogniser's vocabulary knows it better without one.
    """

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    avg_log_probability: float = 0.0
    no_speech_probability: float = 0.0
    begins_common: bool = False


class DroppedSegment(Frozen):
    """A segment that was not believed, with the reason."""

    start_s: float
    end_s: float
    text: str
    reason: Literal["no_speech", "repetition", "low_probability", "outside_speech"]


class Transcript(Frozen):
    language: str
    language_probability: float = 1.0
    segments: tuple[Segment, ...] = ()
    dropped: tuple[DroppedSegment, ...] = ()
    speech: tuple[Span, ...] = ()
    duration_s: float = 0.0

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(w for s in self.segments for w in s.words)


class Utterance(Frozen):
    """One speaker's dubbing unit. The slot runs from `start_s` to `slot_end_s` (next onset less a guard)."""

    id: str
    start_s: float
    end_s: float
    slot_end_s: float
    text: str
    speaker: str = "S1"


class Line(Frozen):
    """An utterance with its translation."""

    utterance: Utterance
    text: str
    candidates: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    voice: str = Field(default="", description="Voice that a person chose for this line; empty: that of the job.")


class Lines(Frozen):
    """All lines of a dub, in order of time."""

    rows: tuple[Line, ...]


class Spoken(Frozen):
    """A line's audio: 24 kHz or so, mono, silence at both ends trimmed.

    `duration_s` is exact: samples over rate. Lines with nothing to say (no phoneme) have `audio=None`. `phrases` are
    where the voice sounds, in seconds of the audio; it pauses between them.
    """

    utterance_id: str
    audio: ArtifactRef | None
    samples: int
    sample_rate_hz: int
    engine: str
    voice: str
    is_fallback: bool = False
    phrases: tuple[Span, ...] = ()

    @property
    def duration_s(self) -> float:
        return self.samples / self.sample_rate_hz if self.sample_rate_hz else 0.0


class LaidPhrase(Frozen):
    """A part of a line's audio, and where it is laid.

    `first` and `end` count samples of the line's own audio (`end` None: to its last one), the others samples of the
    timeline.
    """

    first: int = 0
    end: int | None = None
    start_sample: int
    length_samples: int
    stretch: float


class Placement(Frozen):
    """Where one line is laid, in samples at the timeline's rate.

    `stretch` > 1 means faster: the pace of the line, or of its fastest phrase. `phrases` is empty for a line that is
    laid in one piece.
    """

    utterance_id: str
    start_sample: int
    length_samples: int
    stretch: float
    slot_s: float
    natural_s: float
    onset_error_s: float
    drift_s: float
    overrun_s: float = 0.0
    phrases: tuple[LaidPhrase, ...] = ()

    @property
    def parts(self) -> tuple[LaidPhrase, ...]:
        """The phrases, or the whole line as one."""
        whole = LaidPhrase(start_sample=self.start_sample, length_samples=self.length_samples, stretch=self.stretch)
        return self.phrases or (whole,)


class Timeline(Frozen):
    """The fit planner's answer."""

    sample_rate_hz: int
    total_samples: int
    placements: tuple[Placement, ...] = ()


class Cue(Frozen):
    """One subtitle; `text` holds its line breaks, `speaker` is the label of who speaks, empty when unknown.

    `spoken_s` is when the first of its words is spoken, which need not be when it comes up; None when unknown.
    """

    start_s: float
    end_s: float
    text: str
    speaker: str = ""
    spoken_s: float | None = None


def _one_row(text: str) -> str:
    """A text as it can be spoken and shown: one row, no control characters."""
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text).split())


_LineId = Annotated[str, Field(min_length=1, max_length=64)]
_Words = Annotated[str, Field(max_length=2000), AfterValidator(_one_row)]
_Position = Annotated[int, Field(ge=0, le=2000)]
_Moment = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class ChangeLine(Frozen):
    """Other words, another voice or other times of one line; what is None stays, and an empty voice is the job's."""

    op: Literal["change"] = "change"
    id: _LineId
    text: _Words | None = None
    source_text: _Words | None = None
    voice: Annotated[str, Field(max_length=200)] | None = None
    start_s: _Moment | None = None
    end_s: _Moment | None = None


class SplitLine(Frozen):
    """Two lines out of one. Positions count characters (code points); what is None is taken in proportion."""

    op: Literal["split"] = "split"
    id: _LineId
    at_char: _Position
    source_at_char: _Position | None = None
    at_s: _Moment | None = None


class MergeLines(Frozen):
    """One line out of two; `with_id` is the one that follows."""

    op: Literal["merge"] = "merge"
    id: _LineId
    with_id: _LineId


class DeleteLine(Frozen):
    """A line that is not spoken."""

    op: Literal["delete"] = "delete"
    id: _LineId


LineEdit = Annotated[ChangeLine | SplitLine | MergeLines | DeleteLine, Field(discriminator="op")]
"""What a person changes about the lines."""


class DubOptions(Frozen):
    """What a person may ask of a dub. Names are those of the job API."""

    target_language: str
    source_language: str | None = None
    stt_engine: str = "auto"
    stt_model: str = "base"
    translation_engine: str = "auto"
    translation_model: str | None = None
    tts_engine: str = "auto"
    tts_voice: str | None = None
    speakers: SpeakerCount = "one"
    background: Background = "duck"
    profile: Profile = "natural"
    subtitles: SubtitleMode = "embedded"
    keep_original_audio: bool = False
    glossary: dict[str, str] = Field(default_factory=dict)
    edits: tuple[LineEdit, ...] = ()
    listen: Listen = "sample"


class StageStats(Frozen):
    """What one task run cost when it really ran (a cached result keeps the figures of its making)."""

    stage: str
    seconds: float = 0.0
    busy_s: dict[str, float] = Field(default_factory=dict)
    made: int = 0
    reused: int = 0


class EngineChoice(Frozen):
    """An engine, model and voice settled at submit, with what goes into cache keys."""

    kind: Literal["stt", "mt", "tts", "separate", "diarize"]
    engine: str
    version: str
    model: str = ""
    fingerprint: str = ""
    voice: str = ""
