"""Convolutions as products give what they gave before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dubline.engines.kokoro_graph import with_products

onnx: Any = pytest.importorskip("onnx", reason="the graph tools are not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="nothing to run a graph with")


def _quantised(
    rng: np.random.Generator, channels: int, taps: int, dilation: int, stride: int
) -> tuple[Any, np.ndarray, np.ndarray]:
    """A model of one dynamically quantised filter with a bias, as onnxruntime writes it; its weights and bias."""
    from onnx import TensorProto, helper, numpy_helper

    w = rng.integers(0, 255, (channels, channels, taps), dtype=np.uint8)
    bias = rng.standard_normal(channels).astype(np.float32)
    pad = dilation * (taps - 1) // 2
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"], name="q"),
        helper.make_node(
            "ConvInteger",
            ["xq", "w", "xz", "wz"],
            ["y0"],
            name="conv",
            pads=[pad, pad],
            dilations=[dilation],
            strides=[stride],
        ),
        helper.make_node("Mul", ["xs", "ws"], ["s"], name="scales"),
        helper.make_node("Div", ["b", "s"], ["b1"], name="b1"),
        helper.make_node("Floor", ["b1"], ["b2"], name="b2"),
        helper.make_node("Cast", ["b2"], ["b3"], name="b3", to=TensorProto.INT32),
        helper.make_node("Reshape", ["b3", "shape"], ["b4"], name="b4"),
        helper.make_node("Add", ["y0", "b4"], ["y1"], name="add"),
        helper.make_node("Cast", ["y1"], ["y2"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["y2", "s"], ["y"], name="scale"),
    ]
    constants = {
        "w": w,
        "wz": np.array(128, np.uint8),
        "ws": np.array(0.01, np.float32),
        "b": bias,
        "shape": np.array([1, -1, 1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, "time"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model, (w.astype(np.float32) - 128) * np.float32(0.01), bias


@pytest.mark.parametrize("taps", [1, 3, 11])
@pytest.mark.parametrize("dilation", [1, 5])
@pytest.mark.parametrize("length", [1, 100])
def test_a_convolution_becomes_a_product(tmp_path: Path, taps: int, dilation: int, length: int) -> None:
    rng = np.random.default_rng(3)
    model, weights, bias = _quantised(rng, 24, taps, dilation, 1)
    source, target = tmp_path / "int8.onnx", tmp_path / "products.onnx"
    onnx.save(model, str(source))
    assert with_products(source, target) == 1
    assert "ConvInteger" not in {n.op_type for n in onnx.load(str(target)).graph.node}
    x = rng.standard_normal((1, 24, length)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    got = session.run(None, {"x": x})[0]
    reach = dilation * (taps - 1)
    padded = np.pad(x[0], ((0, 0), (reach // 2, reach // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach + 1, axis=1)[:, :, ::dilation]
    want = np.einsum("oct,cnt->on", weights, windows) + bias[:, None]
    assert got.shape == (1, 24, length)
    assert np.abs(got[0] - want).std() < 0.02 * want.std()


def test_what_changes_the_length_stays(tmp_path: Path) -> None:
    model, _, _ = _quantised(np.random.default_rng(3), 24, 3, 1, 2)
    source, target = tmp_path / "int8.onnx", tmp_path / "products.onnx"
    onnx.save(model, str(source))
    assert with_products(source, target) == 0
    assert "ConvInteger" in {n.op_type for n in onnx.load(str(target)).graph.node}


def test_a_short_time_transform_becomes_a_convolution() -> None:
    from onnx import TensorProto, helper, numpy_helper

    from dubline.engines.kokoro_parts import replace_stft

    constants = {
        "step": np.array(5),
        "window": np.hanning(21)[:20].astype(np.float32),
        "length": np.array(20),
    }
    graph = helper.make_graph(
        [helper.make_node("STFT", ["x", "step", "window", "length"], ["y"], name="stft", onesided=1)],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    x = np.random.default_rng(5).standard_normal((1, 1000)).astype(np.float32)

    def run() -> np.ndarray:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"x": x})[0]

    before = run()
    replace_stft(graph, lambda name: constants[name])
    assert "STFT" not in {n.op_type for n in graph.node}
    after = run()
    assert after.shape == before.shape == (1, 197, 11, 2)
    assert after == pytest.approx(before, abs=1e-4)
