"""Lines into speech: each in its voice, in batches that keep all cores busy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dubline.engines.registry import choose_fallback_tts, choose_tts, voices_of
from dubline.models import DubOptions, EngineChoice, Line, Speaker, Spoken
from dubline.settings import Settings
from dubline.speakers.casting import cast, has_choice
from dubline.stages.synthesize import batches_by_voice, stored_line
from tasks._policies import store
from tasks._run import Started, start
from tasks.synthesize_speech import SynthesizeRequest, SynthesizeResult, synthesize_speech


class Speaking:
    """Who speaks with which voice, and how lines are spoken. `casting` names a voice for each speaker's label."""

    def __init__(
        self,
        tts: EngineChoice,
        target: str,
        options: DubOptions,
        speakers: Sequence[Speaker],
        settings: Settings,
        *,
        common: dict[str, Any],
        refresh: bool,
    ) -> None:
        self.tts = tts
        self._target, self._settings, self._common, self._refresh = target, settings, common, refresh
        self._engine = options.tts_engine
        voices, is_named = voices_of(settings, tts, target), options.tts_voice is not None
        self.casting = cast(speakers, voices, first=tts.voice, is_named=is_named)
        self.is_cast_by_pitch = not is_named and has_choice(voices) and any(s.pitch_hz for s in speakers)
        self._voices = {voice: tts.model_copy(update={"voice": voice}) for voice in self.casting.values()}

    @property
    def voices(self) -> tuple[EngineChoice, ...]:
        """Those of the speakers, and those that were asked for by name for a line."""
        return tuple(self._voices.values())

    def voice_of(self, line: Line) -> str:
        """The line's own voice, else its speaker's."""
        return line.voice or self.casting[line.utterance.speaker]

    def add_voices(self, lines: Iterable[Line]) -> None:
        """Choose the voices that a person gave to lines: each may be another engine's.

        Raises:
            InputError: there is no such voice.
        """
        for voice in sorted({line.voice for line in lines if line.voice}):
            self._voices[voice] = choose_tts(self._settings, engine=self._engine, language=self._target, voice=voice)

    def stored(self, lines: Iterable[Line]) -> list[Spoken]:
        """Lines that were spoken before: an edit leaves most of them as they are, and spends no task runs on them."""
        if self._refresh:
            return []
        found = (stored_line(line, self._voices[self.voice_of(line)], store(), language=self._target) for line in lines)
        return [spoken for spoken in found if spoken is not None]

    def start(self, lines: Sequence[Line], *, share: float) -> list[Started[SynthesizeResult]]:
        """Start to speak lines, which are `share` of all there is to say."""
        characters = sum(len(line.text) for line in lines)
        return [
            start(
                synthesize_speech,
                SynthesizeRequest(
                    lines=batch,
                    language=self._target,
                    choice=self._voices[voice],
                    fallback=choose_fallback_tts(self._settings, chosen=self._voices[voice], language=self._target),
                    share_per_character=share / max(1, characters),
                    refresh=self._refresh,
                    **self._common,
                ),
                refresh=self._refresh,
            )
            for voice, batch in batches_by_voice(lines, self.casting, workers=self._settings.cpu_threads)
        ]
