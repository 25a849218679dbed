"""The int8 Kokoro graph turned back into floats: faster on CPUs without fast int8 convolutions, equally intelligible.

Dynamic quantisation (onnxruntime) writes a Conv or MatMul as `DynamicQuantizeLinear -> ConvInteger|MatMulInteger ->
Cast -> Mul(x_scale * w_scale)`, with a bias that was divided by that scale and added in integers. Each such chain
becomes one float node on the unquantised input, its weights `(w_q - zero_point) * w_scale`.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np


def dequantise(source: Path, target: Path) -> int:
    """Write the float form of a dynamically quantised model. Returns how many nodes were turned back.

    Weights of type uint8 or int8 become float32 of the same shape; the caller puts the file into its place.

    Raises:
        ValueError: a chain is not of the known shape; nothing is written.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    weights = {i.name: i for i in graph.initializer}
    producer = {out: node for node in graph.node for out in node.output}
    consumers = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            consumers[name].append(node)

    def only(name: str, kind: str):
        found = consumers[name]
        if len(found) != 1 or found[0].op_type != kind:
            raise ValueError(f"expected one {kind} behind {name}")
        return found[0]

    def array(name: str) -> np.ndarray:
        return numpy_helper.to_array(weights[name]).astype(np.float32)

    replaced: dict[str, onnx.NodeProto] = {}
    dropped: set[str] = set()
    floats: dict[str, onnx.TensorProto] = {}
    for node in graph.node:
        if node.op_type not in ("ConvInteger", "MatMulInteger"):
            continue
        quantised = producer[node.input[0]]
        if quantised.op_type != "DynamicQuantizeLinear" or node.input[1] not in weights:
            raise ValueError(f"{node.name} is not dynamically quantised")
        chain = [node]
        bias: list[str] = []
        following = consumers[node.output[0]]
        if len(following) == 1 and following[0].op_type == "Add":
            add = following[0]
            bias = [_bias(next(i for i in add.input if i != node.output[0]), producer, weights)]
            chain.append(add)
        chain.append(only(chain[-1].output[0], "Cast"))
        scale_by = only(chain[-1].output[0], "Mul")
        scales = producer[next(i for i in scale_by.input if i != chain[-1].output[0])]
        chain.append(scale_by)
        w_scale = array(next(i for i in scales.input if i in weights))
        zero = array(node.input[3]) if len(node.input) > 3 and node.input[3] else np.float32(0)
        raw = array(node.input[1])
        if node.op_type == "ConvInteger":
            shape = (-1, *([1] * (raw.ndim - 1)))
            w_scale = w_scale.reshape(shape) if w_scale.size > 1 else w_scale
            zero = np.reshape(zero, shape) if np.size(zero) > 1 else zero
        name = f"{node.input[1]}_float"
        floats[name] = numpy_helper.from_array(((raw - zero) * w_scale).astype(np.float32), name)
        kind = "Conv" if node.op_type == "ConvInteger" else "MatMul"
        new = helper.make_node(kind, [quantised.input[0], name, *bias], [scale_by.output[0]], name=f"{node.name}_float")
        new.attribute.extend(node.attribute)
        replaced[node.name] = new
        dropped.update(n.name for n in chain)
    kept = [replaced.get(n.name, n) for n in graph.node if n.name in replaced or n.name not in dropped]
    kept = _alive(kept, {o.name for o in graph.output})
    used = {i for n in kept for i in n.input}
    initializers = [i for i in [*graph.initializer, *floats.values()] if i.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(initializers)
    onnx.save(model, str(target))
    return len(replaced)


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
