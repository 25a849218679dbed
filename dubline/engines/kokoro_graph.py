"""The shipped int8 Kokoro graph with its convolutions as matrix products, which CPUs do faster.

Dynamic quantisation (onnxruntime) writes a convolution as `DynamicQuantizeLinear -> ConvInteger -> Cast ->
Mul(x_scale * w_scale)`, with a bias that was divided by that scale and added in integers. onnxruntime computes it as
a product of unsigned bytes with the weights on the left. With the sound as rows of samples and the taps of a filter
side by side, the weights stand on the right: they are packed once, are signed, and scales and bias are part of the
product. Two products of a byte with a signed weight of 7 bits fit into the 16 bits that CPUs without VNNI add them in;
a scale for each output makes up for the bit (noise of 2 % of the weights, on the average).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dubline.engines.kokoro_parts import TOP

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class _Filter:
    """One quantised convolution: its nodes, and what they compute."""

    name: str
    quantised: onnx.NodeProto
    target: str
    weights: np.ndarray
    bias: np.ndarray | None
    dilation: int
    pads: tuple[int, int]
    nodes: frozenset[str]


def with_products(source: Path, target: Path) -> int:
    """Write the model with its convolutions of stride 1 as products. Returns how many there are.

    Raises:
        ValueError: a convolution is not quantised in the known way; nothing is written.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    constants: dict[str, np.ndarray] = {}
    replaced: dict[str, list[onnx.NodeProto]] = {}
    dropped: set[str] = set()
    for row in _filters(graph):
        nodes, made = _product(row)
        constants |= made
        replaced[row.name] = nodes
        dropped |= row.nodes
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.name in replaced:
            kept += replaced[node.name]
        elif node.name not in dropped:
            kept.append(node)
    kept = _alive(kept, {o.name for o in graph.output})
    used = {i for n in kept for i in n.input}
    made = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    initializers = [i for i in [*graph.initializer, *made] if i.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(initializers)
    if not any(o.domain == "com.microsoft" for o in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(target))
    return len(replaced)


def _product(row: _Filter) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Nodes and constants that stand for one convolution."""
    from onnx import helper

    outputs, inputs, taps = row.weights.shape
    scales = np.abs(row.weights).max(axis=(1, 2)) / TOP
    scales[scales == 0] = 1.0
    weights = np.round(row.weights / scales[:, None, None]).astype(np.int8)
    constants: dict[str, np.ndarray] = {
        "weights": weights.transpose(2, 1, 0).reshape(taps * inputs, outputs),
        "scales": scales.astype(np.float32),
    }
    nodes: list[onnx.NodeProto] = []

    def put(kind: str, given: list[str], made: str, target: str | None = None, **attributes: Any) -> str:
        out = target or f"{row.name}/{made}"
        names = [f"{row.name}/{g}" if g in constants else g for g in given]
        nodes.append(helper.make_node(kind, names, [out], name=f"{row.name}/{made}", **attributes))
        return out

    x, x_scale, x_zero = row.quantised.output
    x = put("Transpose", [x], "rows", perm=[0, 2, 1])
    if any(row.pads):
        constants["pads"] = np.array([0, row.pads[0], 0, 0, row.pads[1], 0], np.int64)
        x = put("Pad", [x, "pads", x_zero], "padded")
    if taps > 1:
        constants["axis"] = np.array([1], np.int64)
        seen = []
        for tap in range(taps):
            after = (taps - 1 - tap) * row.dilation
            constants[f"from{tap}"] = np.array([tap * row.dilation], np.int64)
            constants[f"to{tap}"] = np.array([-after if after else np.iinfo(np.int64).max], np.int64)
            seen.append(put("Slice", [x, f"from{tap}", f"to{tap}", "axis"], f"tap{tap}"))
        x = put("Concat", seen, "columns", axis=2)
    given = [x, "weights", x_scale, "scales", x_zero]
    if row.bias is not None:
        constants["bias"] = row.bias
        given += ["", "bias"]
    x = put("MatMulIntegerToFloat", given, "product", domain="com.microsoft")
    put("Transpose", [x], "back", row.target, perm=[0, 2, 1])
    return nodes, {f"{row.name}/{k}": v for k, v in constants.items()}


def _filters(graph: onnx.GraphProto) -> Iterator[_Filter]:
    from onnx import helper, numpy_helper

    weights = {i.name: i for i in graph.initializer}
    producer = {out: node for node in graph.node for out in node.output}
    consumers = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            consumers[name].append(node)

    def only(name: str, kind: str) -> onnx.NodeProto:
        found = consumers[name]
        if len(found) != 1 or found[0].op_type != kind:
            raise ValueError(f"expected one {kind} behind {name}")
        return found[0]

    def array(name: str) -> np.ndarray:
        return numpy_helper.to_array(weights[name]).astype(np.float32)

    for node in graph.node:
        if node.op_type != "ConvInteger":
            continue
        facts = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if len(weights[node.input[1]].dims) != 3 or facts.get("group", 1) != 1 or facts.get("strides", [1]) != [1]:
            continue
        quantised = producer[node.input[0]]
        if quantised.op_type != "DynamicQuantizeLinear":
            raise ValueError(f"{node.name} is not dynamically quantised")
        chain = [node]
        bias: np.ndarray | None = None
        following = consumers[node.output[0]]
        if len(following) == 1 and following[0].op_type == "Add":
            add = following[0]
            bias = array(_bias(next(i for i in add.input if i != node.output[0]), producer, weights)).reshape(-1)
            chain.append(add)
        chain.append(only(chain[-1].output[0], "Cast"))
        scale_by = only(chain[-1].output[0], "Mul")
        scales = producer[next(i for i in scale_by.input if i != chain[-1].output[0])]
        chain.append(scale_by)
        # One scale and one zero for the filter, or one for each of its outputs.
        w_scale = array(next(i for i in scales.input if i in weights)).reshape(-1, 1, 1)
        zero = array(node.input[3]).reshape(-1, 1, 1) if len(node.input) > 3 and node.input[3] else np.float32(0)
        yield _Filter(
            name=node.name,
            quantised=quantised,
            target=scale_by.output[0],
            weights=((array(node.input[1]) - zero) * w_scale).astype(np.float32),
            bias=bias,
            dilation=facts.get("dilations", [1])[0],
            pads=tuple(facts.get("pads", [0, 0])),
            nodes=frozenset(n.name for n in chain),
        )


def _bias(name: str, producer: dict, weights: dict) -> str:
    """The float bias behind `Floor(bias / scale)` and its reshapes."""
    node = producer[name]
    while node.op_type in ("Reshape", "Cast", "Floor"):
        node = producer[node.input[0]]
    if node.op_type != "Div" or node.input[0] not in weights:
        raise ValueError("a bias is not of the known shape")
    return node.input[0]


def _alive(nodes: list, outputs: set[str]) -> list:
    """Nodes that lead to an output."""
    needed = set(outputs)
    kept = []
    for node in reversed(nodes):
        if any(o in needed for o in node.output):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]
