"""What a job may be asked with, in every shape of the clients; refused at the door when it cannot be done."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.problems import Problem
from api.runs import MOST_OPTION_BYTES, parameter_bytes
from dubline.contract import MediaOptions
from dubline.engines.registry import choose_mt, choose_stt, choose_tts, settle_separator
from dubline.errors import DublineError
from dubline.languages import canonical
from dubline.models import Background, DubOptions, LineEdit, Listen, Profile, SpeakerCount, SubtitleMode
from dubline.settings import Settings

JobType = Literal[
    "video_translate", "audio_extraction", "transcription", "analysis", "clip_generation", "full_processing"
]
READY_TYPES = ("video_translate", "audio_extraction", "transcription")
_LANGUAGE = 64
_NAME = 200


class JobParameters(BaseModel):
    """What shapes the work, by the names of the clients. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    job_type: JobType = "video_translate"
    source_language: str | None = Field(default=None, max_length=_LANGUAGE, examples=["en"])
    target_language: str | None = Field(default=None, max_length=_LANGUAGE, examples=["pt-BR"])
    stt_engine: str = Field(default="auto", max_length=_NAME)
    stt_model: str | None = Field(default=None, max_length=_NAME, examples=["base"])
    model_size: str | None = Field(default=None, max_length=_NAME, description="The same as `stt_model`.")
    translation_engine: str = Field(default="auto", max_length=_NAME)
    translation_model: str | None = Field(default=None, max_length=_NAME)
    tts_engine: str = Field(default="auto", max_length=_NAME)
    tts_voice: str | None = Field(default=None, max_length=_NAME)
    voice: str | None = Field(default=None, max_length=_NAME, description="The same as `tts_voice`.")
    speakers: SpeakerCount = Field(
        default="one", description="`auto`: a voice for each speaker; a number: how many speak; `one`: one voice."
    )
    voice_cloning: bool = False
    subtitles: SubtitleMode = "embedded"
    background: Background = "duck"
    keep_original_audio: bool = False
    glossary: dict[str, str] = Field(default_factory=dict, max_length=500)
    quality: Literal["fast", "balanced", "best"] = "balanced"
    profile: Profile = Field(default="natural", description="Timing: `natural` (pace <= 1.25) or `strict` (<= 1.5).")
    listen: Listen | None = Field(default=None, description="Check of the dub by ear; by default as `quality` says.")
    edits: tuple[LineEdit, ...] = Field(default=(), max_length=10_000, description="Replacements of translated lines.")
    priority: int = Field(default=5, ge=0, le=10)
    webhook_url: str | None = Field(default=None, max_length=2000)
    options: dict[str, Any] = Field(
        default_factory=dict,
        max_length=50,
        description="Further options: `audio_format`, `language`, `model_size` and the names above.",
    )


class JobRequest(JobParameters):
    """A job over a file that is stored (`file_id` or `storage_path`), or over an address."""

    file_id: str | None = Field(default=None, max_length=_NAME)
    storage_path: str | None = Field(default=None, max_length=500)
    storage_uri: str | None = Field(default=None, max_length=2000)
    video_url: str | None = Field(default=None, max_length=2000)
    youtube_url: str | None = Field(default=None, max_length=2000)
    filename: str | None = Field(default=None, max_length=500, description="Name for people, when not the file's own.")


class Work(BaseModel):
    """A checked request: the flow, its options, and what the job's row shows."""

    model_config = ConfigDict(frozen=True)

    job_type: str
    flow: str
    options: dict[str, Any]
    request: dict[str, Any]
    source_language: str | None
    target_language: str | None
    priority: int


_STORAGE_PATH = re.compile(r"^uploads/[A-Za-z0-9-]{1,36}/(?:video|audio)/([0-9a-f-]{36})(?:\.[a-z0-9]{1,5})?$")


def file_id_of(request: JobRequest) -> str | None:
    """The stored file that a request names.

    Raises:
        Problem: 422, for sources that cannot be read here.
    """
    for name in ("video_url", "youtube_url", "storage_uri"):
        if getattr(request, name) is not None:
            raise Problem(
                422,
                "This service does not read from addresses yet.",
                code="source_unsupported",
                hint="Upload the file to /api/v1/upload and name its file_id.",
                errors=[(name, "cannot be read by this installation")],
            )
    if request.file_id is not None:
        return request.file_id
    if request.storage_path is not None:
        match = _STORAGE_PATH.match(request.storage_path)
        # A path that is not ours is answered like one of another user's.
        return match[1] if match else "unknown"
    return None


def check_request(request: JobParameters, settings: Settings) -> Work:
    """Settle a request: languages known, engines here, options that exist. Loads no model; may read package data.

    Raises:
        Problem: 422 with the field and what can be done instead.
    """
    request = _with_options(request)
    if request.job_type not in READY_TYPES:
        raise _cannot(
            "job_type", f"Jobs of type {request.job_type} cannot be done by this installation yet.", READY_TYPES
        )
    if request.voice_cloning:
        raise _cannot("voice_cloning", "No engine here clones voices.", ("false",))
    if request.webhook_url is not None:
        raise _cannot("webhook_url", "Webhooks are not sent by this installation yet.", ())
    source = request.source_language
    if source is not None and source.strip().lower() in {"", "auto"}:
        source = None
    said = request.stt_model or request.model_size
    stt_model = said or settings.whisper_model
    if settings.simulated_engines:
        request = request.model_copy(
            update={
                name: "simulated"
                for name in ("stt_engine", "translation_engine", "tts_engine")
                if getattr(request, name) == "auto"
            }
        )
    shown = request.model_dump(mode="json", include=_SHOWN, exclude_none=True) | {"stt_model": stt_model}
    if request.job_type == "video_translate":
        options = _dub_options(request, source, stt_model, settings)
        flow = "translate_video"
    else:
        options = _media_options(request, source, stt_model, settings)
        flow = "process_media"
    return Work(
        job_type=request.job_type,
        flow=flow,
        options=options,
        request=shown,
        source_language=request.source_language,
        target_language=request.target_language,
        priority=request.priority,
    )


_SHOWN = {
    "target_language",
    "source_language",
    "stt_engine",
    "stt_model",
    "translation_engine",
    "translation_model",
    "tts_engine",
    "tts_voice",
    "speakers",
    "subtitles",
    "background",
    "keep_original_audio",
    "glossary",
    "quality",
    "profile",
    "options",
}
_RESERVED = "__prefect"  # what Prefect would read as an instruction of its own
_LISTEN: dict[str, Listen] = {"fast": "off", "balanced": "sample", "best": "all"}
_FREE_OPTIONS = {
    # Options of other kinds of jobs that clients send with every job; they change nothing here.
    "audio_quality",
    "clip_duration",
    "overlap_duration",
    "max_clips",
    "sentiment_analysis",
    "topic_modeling",
    "keyword_extraction",
    "output_format",
    "resolution",
    "min_confidence",
}


def _with_options(request: JobParameters) -> JobParameters:
    """Lift what `options` says into the fields; a field that was set itself wins."""
    values: dict[str, Any] = {}
    for name, value in request.options.items():
        field = {"language": "source_language"}.get(name, name)
        if name == "audio_format" or name in _FREE_OPTIONS:
            continue
        if field not in JobParameters.model_fields or field in ("options", "job_type"):
            raise Problem(
                422,
                f"There is no option called {name[:40]}.",
                code="option_unknown",
                errors=[(f"options.{name[:40]}", "is not known")],
            )
        if field not in request.model_fields_set:
            values[field] = value
    if not values:
        return request
    try:
        return type(request).model_validate({**request.model_dump(exclude_unset=True), **values})
    except ValidationError as error:
        rows = [(f"options.{'.'.join(map(str, e['loc']))}", e["msg"]) for e in error.errors()]
        raise Problem(422, f"{rows[0][0]}: {rows[0][1]}", code="request_invalid", errors=rows) from error


def _dub_options(request: JobParameters, source: str | None, stt_model: str, settings: Settings) -> dict[str, Any]:
    if not request.target_language:
        raise Problem(
            422,
            "A translation needs a target language.",
            code="target_language_missing",
            hint="GET /api/v1/languages lists them.",
            errors=[("target_language", "is missing")],
        )
    target = _field("target_language", canonical, request.target_language)
    wanted = _field("source_language", canonical, source) if source else None
    options = DubOptions(
        target_language=target,
        source_language=wanted,
        stt_engine=request.stt_engine,
        stt_model=stt_model,
        translation_engine=request.translation_engine,
        translation_model=request.translation_model,
        tts_engine=request.tts_engine,
        tts_voice=request.tts_voice or request.voice,
        background=request.background,
        speakers=request.speakers,
        subtitles=request.subtitles,
        keep_original_audio=request.keep_original_audio,
        glossary=request.glossary,
        profile=request.profile,
        edits=request.edits,
        listen="off" if settings.simulated_engines else request.listen or _LISTEN[request.quality],
    )
    _field(
        "stt_engine",
        lambda _: choose_stt(settings, engine=options.stt_engine, model=options.stt_model, language=wanted),
        "",
    )
    _field(
        "tts_engine",
        lambda _: choose_tts(settings, engine=options.tts_engine, language=target, voice=options.tts_voice),
        "",
    )
    _field(
        "background",
        lambda _: settle_separator(settings, background=options.background, is_simulated=settings.simulated_engines),
        "",
    )
    if wanted is not None:
        _field(
            "target_language",
            lambda _: choose_mt(
                settings,
                engine=options.translation_engine,
                model=options.translation_model,
                source=wanted,
                target=target,
            ),
            "",
        )
    data = options.model_dump(mode="json")
    _check_size(data)
    return data


def _check_size(options: dict[str, Any]) -> None:
    reserved = [name for name in options["glossary"] if name.startswith(_RESERVED)]
    if reserved:
        raise _cannot("glossary", f"No word of a glossary may begin with {_RESERVED}.", ())
    if parameter_bytes(options) > MOST_OPTION_BYTES:
        raise Problem(
            422,
            "These options are more than a job can take.",
            code="options_too_large",
            hint="Shorten the glossary, or give the edits in several revisions.",
            errors=[("glossary", f"takes, with the edits, more than {MOST_OPTION_BYTES} bytes")],
        )


def _media_options(request: JobParameters, source: str | None, stt_model: str, settings: Settings) -> dict[str, Any]:
    wanted = _field("source_language", canonical, source) if source else None
    audio_format = request.options.get("audio_format", "wav")
    if audio_format not in ("wav", "mp3", "flac"):
        raise _cannot("options.audio_format", "That audio format is not made here.", ("wav", "mp3", "flac"))
    options = MediaOptions(
        source_language=wanted, stt_engine=request.stt_engine, stt_model=stt_model, audio_format=audio_format
    )
    if request.job_type == "transcription":
        _field(
            "stt_engine",
            lambda _: choose_stt(settings, engine=options.stt_engine, model=options.stt_model, language=wanted),
            "",
        )
    return options.model_dump(mode="json")


def _field(name: str, check: Any, value: str) -> Any:
    """Run a check of the core and name the field in its refusal."""
    try:
        return check(value)
    except DublineError as error:
        raise Problem(
            422,
            error.message,
            code=error.code,
            hint=error.hint,
            details=error.details,
            errors=[(name, error.message)],
        ) from error


def _cannot(field: str, message: str, choices: tuple[str, ...]) -> Problem:
    hint = f"Choose one of: {', '.join(choices)}." if choices else "Leave it out."
    return Problem(422, message, code="option_unsupported", hint=hint, errors=[(field, message)])
