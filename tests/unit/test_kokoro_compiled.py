"""The compiled filters of Kokoro give what numpy gives, and are only chosen where they can run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dubline.engines import kokoro, kokoro_compiled, kokoro_forms, kokoro_session
from dubline.engines.inventory import Check, checks
from dubline.engines.kokoro_parts import panels, raising_taps
from dubline.errors import EngineUnavailable
from dubline.settings import Settings

needs_compiler = pytest.mark.skipif(
    not (kokoro_compiled.levels() and kokoro_compiled.compiler()), reason="needs a C compiler, AVX2 and FMA"
)


def _compiled(level: kokoro_compiled.Level, folder: Path) -> Any:
    target, command = folder / f"{level.name}.so", kokoro_compiled.compiler()
    assert command is not None
    if not kokoro_compiled.compiled(command, level, target):
        pytest.skip(f"this compiler knows no {level.name}")
    return kokoro_compiled.load_code(target)


@pytest.fixture(scope="module", params=[level.name for level in kokoro_compiled.levels()])
def code(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    level = next(level for level in kokoro_compiled.levels() if level.name == request.param)
    return _compiled(level, tmp_path_factory.mktemp("code"))


class OneFilter:
    """A filter with random (or given) weights, called as the session calls it, and what it should give."""

    def __init__(self, taps: int, dilation: int, channels: int = 64, weights: np.ndarray | None = None) -> None:
        rng = np.random.default_rng(taps * 10 + dilation)
        self.taps, self.dilation, self.channels = taps, dilation, channels
        given = rng.integers(-63, 64, (taps * channels, channels)) if weights is None else weights
        self.weights = given.astype(np.int8)
        self.scales = rng.uniform(0.5e-3, 1e-3, channels).astype(np.float32)
        self.bias = rng.standard_normal(channels).astype(np.float32)
        alpha = rng.uniform(0.3, 3, channels).astype(np.float32)
        self.parts = {
            "f.0.panels": panels(self.weights),
            "f.0.scales": self.scales,
            "f.0.bias": self.bias,
            "f.0.sums": self.weights.sum(axis=0, dtype=np.int32),
            "f.0.alpha": np.concatenate([alpha, 1 / alpha]),
            "f.0.taps": np.array(taps),
            "f.0.dilation": np.array(dilation),
        }
        self.alpha = alpha
        self.gain = rng.uniform(0.5, 2, channels).astype(np.float32)
        self.shift = rng.standard_normal(channels).astype(np.float32)

    def __call__(
        self,
        code: Any,
        x: np.ndarray,
        residual: np.ndarray | None = None,
        part: tuple[int, int] | None = None,
        into: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        one = kokoro_session._Filter(self.parts, "f.0")
        y = into if into is not None else np.full_like(x, np.nan) if residual is None else residual
        moments = np.empty((2, self.channels))
        scratch = np.empty((160 + one.reach) * self.channels * 5 // 4 + 160 * self.channels, np.float32)
        code.filter_rows(
            *(
                one.address,
                x.ctypes.data,
                len(x),
                *(part or (0, len(x))),
                self.gain.ctypes.data,
                self.shift.ctypes.data,
            ),
            *(None if residual is None else residual.ctypes.data, y.ctypes.data),
            *(moments.ctypes.data, scratch.ctypes.data),
        )
        return y, moments

    def bent(self, x: np.ndarray) -> np.ndarray:
        v = x.astype(np.float64) * self.gain + self.shift
        return v + np.sin(self.alpha * v) ** 2 / self.alpha

    def wanted(self, x: np.ndarray) -> np.ndarray:
        reach = (self.taps - 1) // 2 * self.dilation
        padded = np.pad(self.bent(x), ((reach, reach), (0, 0)))
        taps = self.weights.reshape(self.taps, self.channels, self.channels) * self.scales.astype(np.float64)
        return sum(padded[k * self.dilation :][: len(x)] @ taps[k] for k in range(self.taps)) + self.bias


@needs_compiler
@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (3, 1), (7, 3), (11, 5)])
@pytest.mark.parametrize("rows", [1, 5, 128, 300])
def test_a_filter_is_the_convolution_it_stands_for(code: Any, taps: int, dilation: int, rows: int) -> None:
    one = OneFilter(taps, dilation)
    x = np.random.default_rng(rows).standard_normal((rows, 64)).astype(np.float32) * 3
    got, moments = one(code, x)
    want = one.wanted(x)
    assert np.abs(got - want).std() < 0.02 * want.std()
    assert moments == pytest.approx(np.stack([got.sum(axis=0), (got**2).sum(axis=0)]), rel=1e-4, abs=1e-2)


@needs_compiler
@pytest.mark.parametrize(("taps", "dilation", "rows"), [(1, 1, 5), (7, 3, 300), (11, 5, 128), (3, 1, 1000)])
def test_all_processors_compute_the_same_bits(tmp_path: Path, taps: int, dilation: int, rows: int) -> None:
    best, *others = kokoro_compiled.levels()
    one = OneFilter(taps, dilation, 128)
    x, residual = np.random.default_rng(rows).standard_normal((2, rows, 128)).astype(np.float32) * 3
    y, moments = one(_compiled(best, tmp_path), x, residual.copy())
    for level in others:
        same, same_moments = one(_compiled(level, tmp_path), x, residual.copy())
        assert np.array_equal(same, y), level.name
        assert np.array_equal(same_moments, moments), level.name


@needs_compiler
@pytest.mark.parametrize("begins", [4, 32])
def test_sound_may_begin_anywhere(code: Any, begins: int) -> None:
    one = OneFilter(3, 1)
    x = np.random.default_rng(3).standard_normal((300, 64)).astype(np.float32)
    y = kokoro_session._aligned(x.shape, x.dtype)
    assert y.ctypes.data % 64 == 0
    elsewhere = kokoro_session._aligned((x.nbytes + 64,), np.dtype(np.uint8))[begins : begins + x.nbytes]
    other = elsewhere.view(np.float32).reshape(x.shape)
    assert np.array_equal(one(code, x, into=y)[0], one(code, x, into=other)[0])


@needs_compiler
def test_a_residual_is_added_in_place(code: Any) -> None:
    one = OneFilter(3, 1)
    rng = np.random.default_rng(1)
    x, residual = (rng.standard_normal((200, 64)).astype(np.float32) for _ in range(2))
    plain, _ = one(code, x)
    got, moments = one(code, x, kept := residual.copy())
    assert got is kept
    assert got == pytest.approx(plain + residual, abs=1e-5)
    assert moments[0] == pytest.approx(got.sum(axis=0), abs=1e-2)


@needs_compiler
def test_parts_of_the_rows_are_what_they_are_in_the_whole(code: Any) -> None:
    one = OneFilter(7, 3)
    x = np.random.default_rng(2).standard_normal((700, 64)).astype(np.float32)
    whole, moments = one(code, x)
    parts = [(0, 256), (256, 640), (640, 700)]
    made = [one(code, x, part=part) for part in parts]
    assert all(np.array_equal(y[first:end], whole[first:end]) for (y, _), (first, end) in zip(made, parts, strict=True))
    assert np.isnan(made[1][0][:256]).all()
    assert np.isnan(made[1][0][640:]).all()
    assert sum(m for _, m in made) == pytest.approx(moments, rel=1e-5, abs=1e-2)


def test_a_lone_call_has_all_threads_and_two_calls_have_one_each() -> None:
    hands = kokoro_session._Hands(2)
    both = threading.Barrier(2, timeout=10)

    def work(turns: Iterator[int]) -> None:
        for turn in turns:
            done.append(turn)
            if turn < 2:
                both.wait()  # broken unless two threads are here at once

    done: list[int] = []
    with hands:
        hands.share(5, work)
    assert sorted(done) == list(range(5))

    users: set[int] = set()
    with hands, hands:
        hands.share(5, lambda turns: users.update(threading.get_ident() for _ in turns))
    assert users == {threading.get_ident()}
    with hands, pytest.raises(ZeroDivisionError):
        hands.share(2, lambda turns: [1 // turn for turn in turns])
    with hands, hands:  # all threads were given back
        pass


@needs_compiler
@pytest.mark.parametrize("weight", [63, -63])
def test_the_largest_products_do_not_overflow(code: Any, weight: int) -> None:
    one = OneFilter(11, 1, 64, np.full((11 * 64, 64), weight))
    x = np.full((40, 64), 50, np.float32)
    x[20:] = -50  # the range has both signs, so the zero lies in its middle and bytes reach both of its ends
    got, _ = one(code, x)
    want = one.wanted(x)
    assert np.abs(got - want).max() < 0.02 * np.abs(want).max()


@needs_compiler
@pytest.mark.parametrize("seconds", [1, 7])
def test_steps_have_scales_of_their_own(code: Any, seconds: int) -> None:
    """Quiet sound keeps its detail beside a loud outburst that is far enough away."""
    one = OneFilter(3, 1)
    one.shift[:] = 0
    rng = np.random.default_rng(seconds)
    x = rng.standard_normal((seconds * 800, 64)).astype(np.float32) * 0.01
    x[-1] = 300
    got, _ = one(code, x)
    want = one.wanted(x)
    assert np.abs(got - want)[:500].std() < 0.02 * (want - one.bias)[:500].std()


class Raiser:
    """A transposed convolution of stride n, [inputs, outputs, 2 n], as the session calls it, and what it gives."""

    def __init__(self, by: int, gain: float) -> None:
        rng = np.random.default_rng(by)
        self.by, self.gain = by, gain
        kernel = rng.standard_normal((128, 64, 2 * by)).astype(np.float32)
        taps = raising_taps(kernel)
        scales = np.abs(taps).max(axis=0) / 63
        weights = np.round(taps / scales).astype(np.int8)
        self.bias = rng.standard_normal(64).astype(np.float32)
        parts = {
            "panels": panels(weights),
            "scales": scales,
            "bias": np.tile(self.bias, by),
            "sums": weights.sum(axis=0, dtype=np.int32),
            "taps": np.array(3),
            "dilation": np.array(1),
        }
        self.filter = kokoro_session._Filter({f"ups.0.{k}": v for k, v in parts.items()}, "ups.0")
        self.kernel = kernel

    def session(self, code: Any) -> kokoro_session.CompiledSession:
        session = object.__new__(kokoro_session.CompiledSession)
        session._code, session._hands = code, kokoro_session._Hands(1)
        session._raisers = [self.filter, self.filter]
        return session

    def wanted(self, x: np.ndarray) -> np.ndarray:
        """By its definition: each input lays its kernel over the output, n further each time; n / 2 are cut off."""
        x = x * self.gain
        x = np.maximum(x, 0.1 * x)
        out = np.zeros(((len(x) + 1) * self.by, 64))
        for t, row in enumerate(x.astype(np.float64)):
            out[t * self.by : (t + 2) * self.by] += np.einsum("i,iok->ko", row, self.kernel)
        return out[self.by // 2 : -(self.by - self.by // 2)] + self.bias


@needs_compiler
@pytest.mark.parametrize(("group", "by", "late"), [(0, 10, 0), (1, 6, 1)])
@pytest.mark.parametrize("rows", [2, 300])
def test_a_raised_sound_is_the_transposed_convolution(code: Any, group: int, by: int, late: int, rows: int) -> None:
    one = Raiser(by, 1 / 3 if group else 1.0)
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, 128)).astype(np.float32)
    source = rng.standard_normal((rows * by + late, 64)).astype(np.float32)
    with (session := one.session(code))._hands:
        session._raise(group, x[None], sound := source[None].copy())
    want = np.pad(one.wanted(x), ((late, 0), (0, 0)), mode="reflect")
    got = sound[0] - source
    assert np.abs(got - want).std() < 0.02 * want.std()
    assert np.abs(got - want).max() < 0.15 * np.abs(want).max()


@needs_compiler
@pytest.mark.parametrize("rows", [1, 8, 300])
def test_the_last_filter_is_a_convolution_in_floats(tmp_path: Path, rows: int) -> None:
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, 64)).astype(np.float32)
    weights = np.zeros((7, 64, 32), np.float32)
    weights[:, :, :22] = rng.standard_normal((7, 64, 22))
    bias = np.pad(rng.standard_normal(22), (0, 10)).astype(np.float32)
    bent = x / 3.0
    bent = np.pad(np.maximum(bent, 0.01 * bent), ((3, 3), (0, 0)))
    want = sum(bent[k : k + rows] @ weights[k] for k in range(7)) + bias
    made = []
    for level in kokoro_compiled.levels():
        session = object.__new__(kokoro_session.CompiledSession)
        session._code, session._hands = _compiled(level, tmp_path), kokoro_session._Hands(1)
        session._last = {"weights": weights, "bias": bias}
        with session._hands:
            made.append(session._spectrum(x[None]))
    assert made[0].shape == (1, rows, 22)
    assert made[0][0] == pytest.approx(want[:, :22], abs=1e-3)
    assert all(np.array_equal(made[0], other) for other in made[1:])


@needs_compiler
def test_all_processors_raise_to_the_same_bits(tmp_path: Path) -> None:
    one = Raiser(6, 1.0)
    x, source = (
        np.random.default_rng(6).standard_normal(shape).astype(np.float32) for shape in ((300, 128), (1801, 64))
    )
    made = []
    for level in kokoro_compiled.levels():
        with (session := one.session(_compiled(level, tmp_path)))._hands:
            session._raise(0, x[None], sound := source[None].copy())
        made.append(sound)
    assert all(np.array_equal(made[0], other) for other in made[1:])


@needs_compiler
def test_moments_of_rows(code: Any) -> None:
    x = np.random.default_rng(0).standard_normal((1001, 64)).astype(np.float32) + 2
    moments = np.empty((2, 64))
    code.moments_of(x.ctypes.data, 1001, 64, moments.ctypes.data)
    assert moments == pytest.approx(np.stack([x.sum(axis=0), (x.astype(np.float64) ** 2).sum(axis=0)]), rel=1e-5)


@needs_compiler
def test_damaged_code_is_compiled_again(tmp_path: Path) -> None:
    settings = Settings(dubline_home=tmp_path)
    made = kokoro_compiled.library_file(settings)
    whole = made.read_bytes()
    made.write_bytes(whole[:100])
    assert kokoro_compiled.library_file(settings).read_bytes() == whole


def test_the_fastest_form_that_can_run_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(dubline_home=tmp_path, kokoro_form="auto")
    assert kokoro_forms.chosen(settings) == "int8"
    kokoro_forms.remember(settings, {"int8": 4.0, "products": 3.0, "compiled": 2.0})
    monkeypatch.setattr(kokoro_compiled, "is_here", lambda settings: True)
    assert kokoro_forms.chosen(settings) == "compiled"
    monkeypatch.setattr(kokoro_compiled, "is_here", lambda settings: False)
    assert kokoro_forms.chosen(settings) == "products"
    assert kokoro_forms.chosen(settings.model_copy(update={"kokoro_form": "int8"})) == "int8"


def test_a_measurement_before_the_compiled_form_is_not_enough(tmp_path: Path) -> None:
    settings = Settings(dubline_home=tmp_path)
    settings.weights_dir.mkdir(parents=True)
    (settings.weights_dir / "kokoro-forms.json").write_text(
        json.dumps({"form": "products", "seconds": {"int8": 4.0, "products": 3.0}})
    )
    assert kokoro_forms.chosen(settings) == "products"
    assert set(kokoro_forms.measured(settings)) == {"int8", "products"}


@needs_compiler
def test_setup_goes_on_with_a_compiler_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(dubline_home=tmp_path, kokoro_form="auto")
    kokoro_forms.remember(settings, {"int8": 4.0, "products": 3.0, "compiled": 2.0})
    said: list[str] = []
    monkeypatch.setattr(kokoro_compiled, "compiler", lambda: "false")
    kokoro.prepare_forms(settings, said.append)
    assert said == ["The C compiler failed. Kokoro stays slower, nothing else changes."]
    assert kokoro_forms.chosen(settings) == "products"
    monkeypatch.undo()
    kokoro.prepare_forms(settings, said.append)  # measured before, by another version: only compiled anew
    assert len(said) == 1
    assert kokoro_forms.chosen(settings) == "compiled"


@needs_compiler
def test_a_compiler_that_knows_less_makes_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = kokoro_compiled.Level("newer", frozenset(), ("-mno-such-processor",))
    monkeypatch.setattr(kokoro_compiled, "levels", lambda: (newer, kokoro_compiled._AVX2))
    made = kokoro_compiled.library_file(Settings(dubline_home=tmp_path))
    assert "newer" in made.name
    kokoro_compiled.load_code(made)


def test_what_other_code_took_is_not_what_this_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(dubline_home=tmp_path)
    monkeypatch.setattr(kokoro_compiled, "levels", lambda: (kokoro_compiled._AVX2,))
    kokoro_forms.remember(settings, {"int8": 4.0, "products": 3.0, "compiled": 3.5})
    assert "compiled" in kokoro_forms.measured(settings)
    monkeypatch.setattr(kokoro_compiled, "levels", lambda: (kokoro_compiled._AMX,))
    assert "compiled" not in kokoro_forms.measured(settings)


def test_code_that_cannot_be_loaded_says_what_to_do(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"nothing")
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        kokoro_compiled.load_code(broken)


def test_the_doctor_says_what_a_compiler_would_gain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(dubline_home=tmp_path, kokoro_form="auto")
    monkeypatch.setattr(kokoro_compiled, "levels", lambda: (kokoro_compiled._AVX2,))
    monkeypatch.setattr(kokoro_compiled, "compiler", lambda: None)

    def said() -> Check:
        return next(row for row in checks(settings) if row.name == "Kokoro's form")

    assert (said().state, said().command) == ("optional", "apt install gcc && dubline setup")
    monkeypatch.setattr(kokoro_compiled, "compiler", lambda: "gcc")
    assert said().command == "dubline setup"
    kokoro_forms.remember(settings, {"int8": 4.0, "products": 3.0, "compiled": 2.0})
    assert said().command == "dubline setup"  # it was measured, but what was compiled is of another version, or gone
    settings.weights_dir.mkdir(parents=True, exist_ok=True)
    (settings.weights_dir / kokoro_compiled.library_name()).touch()
    assert said().state == "ok"
    (settings.weights_dir / kokoro_compiled.library_name()).unlink()
    kokoro_forms.remember(settings, {"int8": 4.0, "products": 3.0, "compiled": 5.0})
    assert said().state == "ok"


def test_without_a_compiler_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(dubline_home=tmp_path)
    monkeypatch.setattr(kokoro_compiled, "levels", lambda: (kokoro_compiled._AVX2,))
    monkeypatch.setattr(kokoro_compiled, "compiler", lambda: None)
    assert kokoro_forms.possible(settings) == ("int8", "products")
    with pytest.raises(EngineUnavailable) as caught:
        kokoro_compiled.library_file(settings)
    assert "gcc" in (caught.value.hint or "")
    monkeypatch.setattr(kokoro_compiled, "levels", lambda: ())
    with pytest.raises(EngineUnavailable, match="AVX2"):
        kokoro_compiled.library_file(settings)
