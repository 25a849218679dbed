"""Cuts Kokoro's graph around the filters of its generator that run as compiled code.

Nearly all multiplications of the generator (an iSTFTNet with Snake, as in StyleTTS 2) are in eight residual blocks, the
two transposed convolutions that raise the rate before each group of them, and the convolution behind them. The graph in
its form of products is cut into what comes before the first of these and what follows the last; the filters are laid
out as `kokoro_blocks.c` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import onnx

GRAPHS = ("front", "end")
NOISE = ("noise_res.0", "noise_res.1")
"""The blocks of the sound's source, one before each group."""
GROUPS = (("resblocks.0", "resblocks.1", "resblocks.2"), ("resblocks.3", "resblocks.4", "resblocks.5"))
"""Blocks whose outputs are added."""
BLOCKS = (*NOISE, *GROUPS[0], *GROUPS[1])
FILTERS = 6
"""Filters of a block: three pairs."""
RAISERS = ("ups.0", "ups.1")
"""What raises the rate before each group: taps, of rows of as many instants as one of its input becomes."""
TOP = 63
"""Largest weight: 2 * 255 * 63 is below 2^15."""
MEAN = 1 / len(GROUPS[0])
"""What follows a group takes the mean of its blocks."""
LAST, LAST_OUTPUTS = 32, 22
"""Room for the outputs of the last filter, as in `kokoro_blocks.c`, and how many it has."""

_GENERATOR = "/decoder/decoder/generator"
SOUND = "/decoder/decoder/decode.3/Div_4_output_0"
SOURCES = (f"{_GENERATOR}/noise_convs.0/Conv_output_0", f"{_GENERATOR}/noise_convs.1/Conv_output_0")
SPECTRUM = f"{_GENERATOR}/conv_post/Conv_output_0"
"""Tensors at the cuts: the sound before its rate is raised, each group's source, what the last filter gives."""


def style_names(block: str, index: int) -> tuple[str, str]:
    """The tensors with gain and shift of a filter's input, shape [1, channels, 1]."""
    pair, half = divmod(index, 2)
    stem = f"{_GENERATOR}/{block}/adain{half + 1}.{pair}"
    return f"{stem}/Add_1_output_0", f"{stem}/Slice_1_output_0"


def write_filters(products: Path, target: Path) -> None:
    """Write the archive (npz) of all filters: five arrays and two numbers each.

    Args:
        products: Kokoro as `kokoro_graph.with_products` wrote it.
        target: The archive.

    Raises:
        ValueError: the graph has not the known weights.
    """
    import numpy as np
    import onnx

    array = _reader(onnx.load(str(products)).graph)
    arrays: dict[str, np.ndarray] = {}
    for block in BLOCKS:
        for index in range(FILTERS):
            arrays |= {f"{block}.{index}.{k}": v for k, v in _filter(array, block, index).items()}
    for name in RAISERS:
        arrays |= {f"{name}.{k}": v for k, v in _raiser(array, name).items()}
    arrays |= {f"last.{k}": v for k, v in _last(array).items()}
    with target.open("wb") as out:
        np.savez(out, allow_pickle=False, **arrays)


def write_graph(products: Path, target: Path, part: str) -> None:
    """Write one of `GRAPHS`. At the cuts, sound lies in rows: [1, time, channels].

    Raises:
        ValueError: the graph has not the known nodes.
    """
    import onnx

    model = onnx.load(str(products))
    replace_stft(model.graph, _reader(model.graph))
    styles = [name for block in BLOCKS for index in range(FILTERS) for name in style_names(block, index)]
    cuts: dict[str, tuple[list[str], list[str], list[str]]] = {
        "front": ([], [SOUND, *SOURCES], styles),
        "end": ([SPECTRUM], [], [model.graph.output[0].name]),
    }
    onnx.save(_cut(model, *cuts[part]), str(target))


def _reader(graph: onnx.GraphProto) -> Callable[[str], np.ndarray]:
    from onnx import numpy_helper

    constants = {i.name: i for i in graph.initializer}

    def array(name: str) -> np.ndarray:
        if name not in constants:
            raise ValueError(f"{name} is not in the graph")
        return numpy_helper.to_array(constants[name])

    return array


def _filter(array: Callable[[str], np.ndarray], block: str, index: int) -> dict[str, np.ndarray]:
    import numpy as np

    pair, half = divmod(index, 2)
    stem = f"{_GENERATOR}/{block}/convs{half + 1}.{pair}/Conv_quant"
    weights = array(f"{stem}/weights")
    channels = weights.shape[1]
    taps = weights.shape[0] // channels
    alpha = array(f"decoder.decoder.generator.{block}.alpha{half + 1}.{pair}").reshape(-1)
    return {
        "panels": panels(weights),
        "scales": array(f"{stem}/scales"),
        "bias": array(f"{stem}/bias"),
        "sums": weights.sum(axis=0, dtype=np.int32),
        "alpha": np.concatenate([alpha, 1 / alpha]).astype(np.float32),
        "taps": np.array(taps),
        "dilation": array(f"{stem}/from1")[0],
    }


def _raiser(array: Callable[[str], np.ndarray], name: str) -> dict[str, np.ndarray]:
    import numpy as np

    number = name.rpartition(".")[2]
    kernel = array(f"{_GENERATOR}/Mul{'' if number == '0' else '_' + number}_output_0")
    taps = raising_taps(kernel)
    scales = np.abs(taps).max(axis=0) / TOP
    weights = np.round(taps / scales).astype(np.int8)
    return {
        "panels": panels(weights),
        "scales": scales.astype(np.float32),
        "bias": np.tile(array(f"decoder.decoder.generator.{name}.bias"), kernel.shape[2] // 2),
        "sums": weights.sum(axis=0, dtype=np.int32),
        "taps": np.array(3),
        "dilation": np.array(1),
    }


def _last(array: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    import numpy as np

    room = (0, LAST - LAST_OUTPUTS)
    return {
        "weights": np.pad(array(f"{_GENERATOR}/Mul_2_output_0").transpose(2, 1, 0), ((0, 0), (0, 0), room)),
        "bias": np.pad(array("decoder.decoder.generator.conv_post.bias"), room),
    }


def raising_taps(kernel: np.ndarray) -> np.ndarray:
    """A transposed convolution of stride n as a filter of stride 1 whose rows of output are n instants each.

    Args:
        kernel: [inputs, outputs, 2 n], n even; what it gives begins n / 2 late (the padding). So instant i of row t is
            `x[t - 1] k[i + 3 n / 2] + x[t] k[i + n / 2]` in the first half, `x[t] k[i + n / 2] + x[t + 1] k[i - n / 2]`
            in the second.

    Returns:
        [3 * inputs, n * outputs], the taps of the rows before, at and behind a row of output.
    """
    import numpy as np

    inputs, outputs, length = kernel.shape
    by, half = length // 2, length // 4
    taps = np.zeros((3, inputs, by, outputs), np.float32)
    kernel = kernel.transpose(0, 2, 1)
    taps[0, :, :half] = kernel[:, by + half :]
    taps[1] = kernel[:, half : half + by]
    taps[2, :, half:] = kernel[:, : by - half]
    return taps.reshape(3 * inputs, by * outputs)


def panels(weights: np.ndarray) -> np.ndarray:
    """Weights int8 [taps * inputs, outputs] in the order `kokoro_blocks.c` reads them: 16 outputs, by four inputs."""
    import numpy as np

    rows, outputs = weights.shape
    return np.ascontiguousarray(weights.reshape(rows // 4, 4, outputs // 16, 2, 8).transpose(2, 0, 3, 4, 1)).reshape(-1)


def _cut(
    model: onnx.ModelProto, rows_in: Sequence[str], rows_out: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """The nodes that lead from some tensors (or the model's inputs) to others, with sound in rows at its borders."""
    from onnx import TensorProto, helper

    graph = model.graph
    needed, nodes = {*rows_out, *outputs}, []
    for node in reversed(graph.node):
        if any(o in needed for o in node.output) and not any(o in rows_in for o in node.output):
            nodes.append(node)
            needed.update(i for i in node.input if i)
    nodes.reverse()
    before = [helper.make_node("Transpose", [f"{n}.rows"], [n], perm=[0, 2, 1]) for n in rows_in]
    after = [helper.make_node("Transpose", [n], [f"{n}.rows"], perm=[0, 2, 1]) for n in rows_out]
    of_model = {o.name: o for o in graph.output}
    cut = helper.make_graph(
        [*before, *nodes, *after],
        "part",
        [i for i in graph.input if i.name in needed]
        + [helper.make_tensor_value_info(f"{n}.rows", TensorProto.FLOAT, [1, None, None]) for n in rows_in],
        [helper.make_tensor_value_info(f"{n}.rows", TensorProto.FLOAT, None) for n in rows_out]
        + [of_model.get(n) or helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [i for i in graph.initializer if i.name in needed],
    )
    return helper.make_model(cut, opset_imports=model.opset_import, ir_version=model.ir_version)


def replace_stft(graph: onnx.GraphProto, array: Callable[[str], np.ndarray]) -> None:
    """Put a convolution with windowed waves in place of the STFT: onnxruntime's takes a fifth of the front's time."""
    import numpy as np
    from onnx import helper, numpy_helper

    node = next((n for n in graph.node if n.op_type == "STFT"), None)
    if node is None:
        raise ValueError("the graph has no STFT")
    signal, step, window, length = node.input
    taps = int(array(length))
    bins = taps // 2 + 1
    angle = 2 * np.pi * np.outer(np.arange(bins), np.arange(taps)) / taps
    waves = (np.concatenate([np.cos(angle), -np.sin(angle)]) * array(window)).astype(np.float32)[:, None]
    made = {"waves": waves, "axis": np.array([1], np.int64), "shape": np.array([1, 2, bins, -1], np.int64)}
    stem = node.name
    nodes = [
        helper.make_node("Unsqueeze", [signal, f"{stem}/axis"], [f"{stem}/signal"]),
        helper.make_node("Conv", [f"{stem}/signal", f"{stem}/waves"], [f"{stem}/conv"], strides=[int(array(step))]),
        helper.make_node("Reshape", [f"{stem}/conv", f"{stem}/shape"], [f"{stem}/parts"]),
        helper.make_node("Transpose", [f"{stem}/parts"], [node.output[0]], perm=[0, 3, 2, 1]),
    ]
    at = list(graph.node).index(node)
    kept = [*graph.node[:at], *nodes, *graph.node[at + 1 :]]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(v, f"{stem}/{k}") for k, v in made.items())
