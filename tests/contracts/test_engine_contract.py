"""What every engine plug-in owes, and how one is found, chosen and refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dubline.engines import pool, registry
from dubline.engines.base import EngineKind, EnginePlugin
from dubline.errors import EngineUnavailable, InputError
from dubline.languages import canonical
from dubline.settings import Settings

_KINDS: tuple[EngineKind, ...] = ("stt", "mt", "tts")
_ALL = [(kind, id) for kind in _KINDS for id in registry.plugins(kind)]


@pytest.mark.parametrize(("kind", "id"), _ALL, ids=lambda v: v)
def test_a_plug_in_is_whole_and_its_words_are_in_order(kind: EngineKind, id: str) -> None:
    plugin = registry.get(kind, id)
    settings = Settings()
    assert isinstance(plugin, EnginePlugin)
    assert (plugin.id, plugin.kind) == (id, kind)
    assert plugin.version()
    assert plugin.licence.weights
    assert plugin.licence.source
    able = plugin.capabilities(settings)
    gap = plugin.missing(settings)
    if gap is not None:
        assert gap.reason.endswith(".")
        assert gap.command
        return
    assert plugin.fingerprint(settings)
    for language in [*able.languages, *(v.language for v in able.voices), *(p for pair in able.pairs for p in pair)]:
        assert canonical(language)
    assert {"stt": able.languages, "mt": able.pairs, "tts": able.voices}[kind]
    assert len({v.id for v in able.voices}) == len(able.voices)


def test_finding_engines_loads_none_of_them() -> None:
    script = (
        "import sys; from dubline.engines import registry; [registry.plugins(k) for k in ('stt', 'mt', 'tts')];"
        "print([m for m in ('ctranslate2', 'onnxruntime', 'kokoro_onnx', 'faster_whisper', 'torch') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_auto_never_takes_the_simulated_engines() -> None:
    settings = Settings()
    assert registry.choose_stt(settings, engine="auto", model="base", language="en").engine != "simulated"
    assert registry.choose_tts(settings, engine="auto", language="pt-BR", voice=None).engine != "simulated"
    with pytest.raises((InputError, EngineUnavailable)):
        registry.choose_mt(settings, engine="auto", model=None, source="de", target="ja")
    assert registry.choose_mt(settings, engine="simulated", model=None, source="de", target="ja").engine == "simulated"


def test_refusals_say_what_there_is() -> None:
    settings = Settings()
    with pytest.raises(InputError) as pair:
        registry.choose_mt(settings, engine="auto", model=None, source="ja", target="pt-BR")
    assert pair.value.code == "language_pair_unsupported"
    assert "en-pt-BR" in pair.value.details["pairs"]
    with pytest.raises(InputError) as voice:
        registry.choose_tts(settings, engine="auto", language="pt-BR", voice="nobody")
    assert voice.value.code == "voice_unknown"
    assert "pf_dora" in voice.value.hint or "pt-br" in voice.value.hint
    with pytest.raises(InputError) as same:
        registry.choose_mt(settings, engine="auto", model=None, source="pt-PT", target="pt-BR")
    assert same.value.code == "same_language"
    with pytest.raises(EngineUnavailable) as weights:
        registry.choose_stt(settings, engine="auto", model="enormous", language="en")
    assert "MODELS_DIR" in weights.value.hint


def test_weights_with_a_wrong_hash_are_refused(tmp_path: Path) -> None:
    from dubline.engines.weights import KOKORO, joined_file

    (tmp_path / KOKORO.name).write_bytes(b"not the weights")
    settings = Settings(models_dir=tmp_path, dubline_home=tmp_path / "home")
    with pytest.raises(EngineUnavailable) as caught:
        joined_file(settings, KOKORO)
    assert caught.value.code == "weights_corrupt"
    assert str(tmp_path) not in caught.value.message


def test_many_threads_share_one_engine_and_memory_is_bounded() -> None:
    settings = Settings(engine_memory_bytes=100_000_000)
    stt = registry.choose_stt(settings, engine="simulated", model=None, language="en")
    mt = registry.choose_mt(settings, engine="simulated", model=None, source="en", target="es")
    seen: set[int] = set()

    def use() -> None:
        with pool.acquire(mt, settings) as engine:
            seen.add(id(engine))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1
    with pool.acquire(stt, settings):  # larger than the bound alone: everything idle has gone
        assert pool.unload_idle("mt") == 0
    assert pool.unload_idle() == 1
    assert pool.unload_idle() == 0


def test_a_strangers_plug_in_is_found_used_and_a_broken_one_is_only_named() -> None:
    example = Path(__file__).resolve().parents[1] / "plugin_example"
    environment = {**os.environ, "PYTHONPATH": f"{example}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "COLUMNS": "200"}
    script = (
        "from dubline.engines import pool, registry; from dubline.settings import Settings; s = Settings();"
        "c = registry.choose_mt(s, engine='auto', model=None, source='en', target='nl');\n"
        "with pool.acquire(c, s) as e: print(c.engine, e.translate(['hello'], source='en', target='nl')[0].text)"
    )
    said = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "shout HELLO\n"
    listed = subprocess.run(
        [sys.executable, "-m", "dubline", "engines", "--json"], env=environment, capture_output=True, text=True, check=True
    )
    states = {row["engine"]: row["state"] for row in json.loads(listed.stdout) if row["kind"] == "mt"}
    assert states["shout"] == "ready"
    assert states["wrong"] == "broken"
