"""A sentence in a voice, to hear before it is chosen."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from array import array
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx

from dubline.engines import wire
from dubline.engines.pool import acquire
from dubline.engines.registry import choose_tts
from dubline.errors import DublineError, EngineError
from dubline.languages import base, canonical, own_name
from dubline.models import EngineChoice
from dubline.settings import Settings

_SENTENCES = {
    "de": "Guten Tag! So klingt diese Stimme in Ihrem Video.",
    "en": "Hello! This is how this voice will sound in your video.",
    "es": "¡Hola! Así sonará esta voz en su vídeo.",
    "fr": "Bonjour ! Voici comment cette voix sonnera dans votre vidéo.",
    "hi": "नमस्ते! आपके वीडियो में यह आवाज़ ऐसी सुनाई देगी।",
    "it": "Buongiorno! Ecco come suonerà questa voce nel suo video.",
    "ja": "こんにちは。動画ではこのような声になります。",
    "nl": "Hallo! Zo klinkt deze stem in uw video.",
    "pl": "Dzień dobry! Tak zabrzmi ten głos w twoim filmie.",
    "pt": "Olá! É assim que esta voz vai soar no seu vídeo.",
    "ru": "Здравствуйте! Так этот голос прозвучит в вашем видео.",
    "zh": "你好！这个声音在您的视频里就是这样的。",
}
_KEPT = 16  # of about 150 kB each
_PATIENCE_S = 60.0


class VoiceSamples:
    """Spoken by the engine server when there is one, one at a time; the last few are kept in memory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._turn = asyncio.Lock()

    async def get(self, *, language: str, engine: str, voice: str | None) -> bytes:
        """A WAV file (mono, 16 bits) of a few seconds.

        Raises:
            InputError: no such language, engine or voice.
            EngineUnavailable: the voice is not installed.
            EngineError: `engine_busy` or `engine_server_lost`, both retryable.
        """
        choice = await asyncio.to_thread(choose_tts, self._settings, engine=engine, language=language, voice=voice)
        tag = canonical(language)
        key = f"{choice.fingerprint} {choice.engine} {choice.voice} {tag}"
        async with self._turn:
            if key not in self._kept:
                self._kept[key] = await self._speak(choice, tag)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    async def _speak(self, choice: EngineChoice, language: str) -> bytes:
        text = _SENTENCES.get(base(language)) or own_name(language)
        call = wire.SpeakCall(choice=choice, text=text, voice=choice.voice, language=language)
        if self._settings.engine_socket is None:
            samples, rate_hz = await asyncio.to_thread(_elsewhere, call, self._settings)
        else:
            samples, rate_hz = await self._ask(call, self._settings.engine_socket)
        return await asyncio.to_thread(_wav, samples, rate_hz)

    async def _ask(self, call: wire.SpeakCall, server: Path) -> tuple[bytes, int]:
        transport = httpx.AsyncHTTPTransport(uds=str(server))
        try:
            async with httpx.AsyncClient(transport=transport, timeout=_PATIENCE_S) as client:
                answer = await client.post(
                    "http://engines/v1/tts",
                    content=wire.frame(call.model_dump(mode="json")),
                    headers={"Content-Type": wire.MEDIA_TYPE},
                )
            if answer.status_code != 200:
                raise wire.to_error(json.loads(answer.content)["error"])
            head, samples = wire.split(answer.content)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise _lost() from error
        return samples.tobytes(), head["sample_rate_hz"]


def _elsewhere(call: wire.SpeakCall, settings: Settings) -> tuple[bytes, int]:
    """In a process of its own: the voice, and what it needs, would stay in this one's memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        done = pool.submit(_speak_here, call, settings).result()
    if isinstance(done, dict):  # an error's own arguments do not survive the way between processes
        raise wire.to_error(done)
    return done


def _speak_here(call: wire.SpeakCall, settings: Settings) -> tuple[bytes, int] | dict[str, Any]:
    try:
        with acquire(call.choice, settings) as engine:
            spoken = engine.synthesize(call.text, voice=call.voice, language=call.language)
    except DublineError as error:
        return wire.from_error(error)
    return spoken.samples.astype("<f4").tobytes(), int(spoken.sample_rate_hz)


def _wav(samples: bytes, rate_hz: int) -> bytes:
    """Without numpy, which would stay in this process's memory for the sake of a sentence."""
    floats = array("f", samples)
    shorts = array("h", (round(32767 * max(-1.0, min(1.0, value))) for value in floats))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(shorts.tobytes())
    return out.getvalue()


def _lost() -> EngineError:
    return EngineError(
        "The engine server does not answer, so no voice can be heard now.",
        code="engine_server_lost",
        hint="Try again in a moment; `dubline up` starts it.",
        retryable=True,
    )
