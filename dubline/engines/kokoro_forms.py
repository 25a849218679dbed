"""The forms in which Kokoro can run here, and which one is taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dubline.engines import kokoro_compiled, kokoro_parts, kokoro_session, weights
from dubline.settings import Settings

if TYPE_CHECKING:
    import onnxruntime

FORMS = ("int8", "products", "compiled")
_PRODUCTS_FILE = "kokoro-v1.0.products.onnx"
_MEASURED_FILE = "kokoro-forms.json"
_CUT = 2
"""Counts the ways in which the graph was cut: what is made of it by one is not read by another."""


Session: TypeAlias = "onnxruntime.InferenceSession | kokoro_session.CompiledSession"


def possible(settings: Settings) -> tuple[str, ...]:
    """The forms that this machine can run."""
    return FORMS if kokoro_compiled.can_be_made(settings) else FORMS[:2]


def chosen(settings: Settings) -> str:
    """The form to run: the setting's word, else the fastest as measured on this machine, else as shipped."""
    if settings.kokoro_form != "auto":
        return settings.kokoro_form
    seconds = measured(settings)
    if not kokoro_compiled.is_here(settings):
        seconds.pop("compiled", None)
    return min(seconds, key=lambda form: seconds[form], default="int8")


def measured(settings: Settings) -> dict[str, float]:
    """Wall seconds of the same work, by form; empty before the first measurement.

    Code that was compiled of another source, or for another processor, says nothing of what is compiled here.
    """
    known = weights.read_json(settings.weights_dir / _MEASURED_FILE)
    seconds = known.get("seconds")
    forms = FORMS if known.get("code") == kokoro_compiled.library_name() else FORMS[:2]
    return {k: v for k, v in seconds.items() if k in forms} if isinstance(seconds, dict) else {}


def remember(settings: Settings, seconds: dict[str, float]) -> None:
    rounded = {form: round(spent_s, 2) for form, spent_s in seconds.items()}
    known = {"seconds": rounded, "code": kokoro_compiled.library_name()}
    weights.write_json(settings.weights_dir / _MEASURED_FILE, known)


def open_session(settings: Settings, form: str) -> Session:
    """A session with one thread inside; that of `compiled` takes others while no call has them.

    What the form needs is made on first use.

    Raises:
        EngineUnavailable: weights missing or damaged, or no compiler for `compiled`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if form == "compiled":
        library = kokoro_compiled.library_file(settings)
        graphs = [_part_file(settings, part) for part in kokoro_parts.GRAPHS]
        return kokoro_session.CompiledSession(
            graphs, _filters_file(settings), library, options, threads=settings.cpu_threads
        )
    model = _products_file(settings) if form == "products" else weights.joined_file(settings, weights.KOKORO)
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _products_file(settings: Settings) -> Path:
    from dubline.engines.kokoro_graph import with_products

    shipped = weights.joined_file(settings, weights.KOKORO)
    return _made(settings, _PRODUCTS_FILE, shipped, with_products)


def _derived_file(settings: Settings, name: str, make: Callable[[Path, Path], object]) -> Path:
    """What is made of the products, which need not be there when it is."""
    return weights.made_file(settings, name) or _made(settings, name, _products_file(settings), make)


def _part_file(settings: Settings, part: str) -> Path:
    from dubline.engines.kokoro_parts import write_graph

    return _derived_file(settings, f"kokoro-v1.0.{part}.{_CUT}.onnx", partial(write_graph, part=part))


def _filters_file(settings: Settings) -> Path:
    from dubline.engines.kokoro_parts import write_filters

    return _derived_file(settings, f"kokoro-v1.0.filters.{_CUT}.npz", write_filters)


def _made(settings: Settings, name: str, source: Path, make: Callable[[Path, Path], object]) -> Path:
    """A file that is derived from another, on first use."""
    made = weights.made_file(settings, name)
    if made is None:
        with weights.locked(settings):
            made = weights.made_file(settings, name)
            if made is None:
                made = settings.weights_dir / name
                with weights.replacing(made) as temporary:
                    make(source, temporary)
                weights.record_made(settings, made)
    return made
