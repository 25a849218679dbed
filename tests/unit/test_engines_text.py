"""Text work of the adapters: spoken forms, splitting, Apertium's names, dequantisation of a tiny graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubline.engines.apertium import read_modes
from dubline.engines.kokoro import split_text
from dubline.engines.spoken_text import spoken

SPOKEN = [
    ("pt-BR", "Custa US$ 30.", "Custa 30 dólares."),
    ("pt-BR", "US$ 5 milhões e R$ 1", "5 milhões de dólares e 1 real"),
    ("pt-BR", "R$ 2 mil", "2 mil reais"),
    ("pt-BR", "a 60 km/h por 1 km", "a 60 quilômetros por hora por 1 quilômetro"),
    ("pt-BR", "ana@x.com.br", "ana arroba x ponto com ponto br"),
    ("pt-BR", "A Sra. Ana às 14h30", "A Senhora Ana às 14 horas e 30"),
    ("es", "30 € en EE. UU.", "30 euros en Estados Unidos"),
    ("en", "$5 million in 1455", "5 million dollars in fourteen fifty five"),
    ("en", "the 1990s", "the nineteen nineties"),
    # espeak reads these rightly: they stay.
    ("pt-BR", "século XV, 1.455 homens, 50%, 3º", "século XV, 1.455 homens, 50%, 3º"),
    ("en", "1,455 men", "1,455 men"),
    ("de", "R&D 30 €", "R&D 30 €"),
]


@pytest.mark.parametrize(("language", "text", "expected"), SPOKEN)
def test_spoken(language: str, text: str, expected: str) -> None:
    assert spoken(text, language) == expected


@given(st.text(alphabet=" abcdé,.;!?—", max_size=900), st.integers(min_value=60, max_value=250))
def test_split_keeps_every_letter_and_the_limit(text: str, limit: int) -> None:
    parts = split_text(text, limit)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < len(p) <= limit for p in parts)


def test_split_prefers_the_end_of_a_sentence() -> None:
    first, second = "One sentence, with a comma, ends right here.", "Another one, with commas too, comes after it."
    assert split_text(f"{first} {second}", 60) == [first, second]


def test_apertium_names() -> None:
    modes = read_modes(["es-pt", "es-pt_BR", "pt-es", "spa-eng", "spa-eng_US", "eng-spa", "ignored", "xx-yy"])
    assert modes[("es", "pt-PT")] == "es-pt"
    assert modes[("es", "pt-BR")] == "es-pt_BR"
    assert modes[("pt-BR", "es")] == "pt-es"
    assert modes[("es", "en")] == "spa-eng"
    assert ("en", "es") in modes
    assert read_modes(["es-pt"]) == {("es", "pt-BR"): "es-pt"}


def test_dequantised_matmul_answers_like_the_quantised(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from dubline.engines.dequantise import dequantise

    rng = np.random.default_rng(7)
    w = rng.integers(0, 255, (6, 4), dtype=np.uint8)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"], name="q"),
        helper.make_node("MatMulInteger", ["xq", "w", "xz", "wz"], ["y0"], name="mm"),
        helper.make_node("Cast", ["y0"], ["y1"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["xs", "ws"], ["s"], name="scales"),
        helper.make_node("Mul", ["y1", "s"], ["y"], name="scale"),
    ]
    weights = [
        numpy_helper.from_array(w, "w"),
        numpy_helper.from_array(np.uint8(128), "wz"),
        numpy_helper.from_array(np.float32(0.01), "ws"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    source, target = tmp_path / "int8.onnx", tmp_path / "float.onnx"
    onnx.save(model, str(source))
    assert dequantise(source, target) == 1
    ops = [n.op_type for n in onnx.load(str(target)).graph.node]
    assert ops == ["MatMul"]
    x = rng.standard_normal((2, 6)).astype(np.float32)
    answers = [
        onnxruntime.InferenceSession(str(p), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for p in (source, target)
    ]
    exact = x @ ((w.astype(np.float32) - 128) * np.float32(0.01))
    np.testing.assert_allclose(answers[1], exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(answers[0], exact, atol=0.12)
