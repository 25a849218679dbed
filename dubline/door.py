"""Refuses at the door what cannot be dubbed here, before anything is started or stored."""

from __future__ import annotations

from pathlib import Path

from dubline.errors import InputError
from dubline.models import DubOptions
from dubline.settings import Settings


def check_dub(source: Path, options: DubOptions, settings: Settings) -> None:
    """Check the file, then the engines. Loads no model.

    Raises:
        InputError: the file cannot be dubbed.
        EngineUnavailable: no engine here does what the options want.
    """
    from dubline.engines.registry import choose_mt, choose_stt, choose_tts
    from dubline.media.probe import check_dubbable, probe

    if not source.is_file():
        raise InputError(
            "That is a folder, not a video file." if source.is_dir() else "The video file does not exist.",
            code="source_missing",
            hint="Check the path.",
        )
    check_dubbable(probe(source, settings))
    choose_stt(settings, engine=options.stt_engine, model=options.stt_model, language=options.source_language)
    choose_tts(settings, engine=options.tts_engine, language=options.target_language, voice=options.tts_voice)
    if options.source_language is not None:
        # With the language to be detected, the pair is checked as soon as it is known.
        choose_mt(
            settings,
            engine=options.translation_engine,
            model=options.translation_model,
            source=options.source_language,
            target=options.target_language,
        )
