"""The strict reader of MP4 boxes: what it finds, what it leaves alone, and that no bytes upset it."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dubline.media import boxes
from dubline.media.boxes import Claims


def _box(kind: bytes, *body: bytes) -> bytes:
    content = b"".join(body)
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def _words(*values: int) -> bytes:
    return b"".join(v.to_bytes(4, "big") for v in values)


def _clock(kind: bytes, timescale: int, duration: int) -> bytes:
    return _box(kind, _words(0, 0, 0, timescale, duration, 0))


def _track(
    *,
    handler: bytes = b"vide",
    timescale: int = 1000,
    size: tuple[int, int] = (320, 180),
    coded: tuple[int, int] = (320, 180),
    deltas: tuple[tuple[int, int], ...] = ((25, 40),),
    dref: bytes = _box(b"url ", _words(1)),
) -> bytes:
    tkhd = _box(b"tkhd", bytes(76), _words(size[0] << 16, size[1] << 16))
    entry = _box(b"avc1", bytes(24), coded[0].to_bytes(2, "big"), coded[1].to_bytes(2, "big"), bytes(50))
    table = _box(
        b"stbl",
        _box(b"stsd", _words(0, 1), entry),
        _box(b"stts", _words(0, len(deltas)), *(_words(*d) for d in deltas)),
    )
    minf = _box(b"minf", _box(b"dinf", _box(b"dref", _words(0, 1), dref)), table)
    hdlr = _box(b"hdlr", _words(0, 0), handler, bytes(13))
    return _box(b"trak", tkhd, _box(b"mdia", _clock(b"mdhd", timescale, 1000), hdlr, minf))


def _movie(*tracks: bytes, duration: int = 1000) -> bytes:
    return _box(b"ftyp", b"isom", _words(0)) + _box(b"moov", _clock(b"mvhd", 1000, duration), *tracks)


def _read(data: bytes) -> Claims:
    return boxes.read(io.BytesIO(data), len(data))


def test_a_plain_movie() -> None:
    claims = _read(_movie(_track(), _track(handler=b"soun")) + _box(b"mdat", b"PK\x03\x04\x14\0<html>"))
    assert claims.movie_s == 1.0
    assert [t.handler for t in claims.tracks] == ["vide", "soun"]
    first = claims.tracks[0]
    assert (first.timescale, first.pixels, first.samples) == (1000, 320 * 180, 25)
    assert first.has_ticks
    assert not first.is_external
    assert not claims.carries_file  # media data may hold any bytes


def test_claimed_sizes_count_on_the_screen_and_in_the_description() -> None:
    assert _read(_movie(_track(size=(65535, 65535)))).tracks[0].pixels == 65535**2
    assert _read(_movie(_track(coded=(20000, 30000)))).tracks[0].pixels == 20000 * 30000
    assert _read(_movie(_track(handler=b"soun", coded=(60000, 60000)))).tracks[0].pixels == 320 * 180


@pytest.mark.parametrize(
    ("deltas", "runs"),
    [(((25, 0),), False), (((24, 40), (1, 0)), True), (((1, 0), (24, 40)), True), (((3, 0), (0, 40)), False)],
)
def test_a_clock_stands_when_no_sample_takes_time(deltas: tuple[tuple[int, int], ...], runs: bool) -> None:
    assert _read(_movie(_track(deltas=deltas))).tracks[0].has_ticks is runs


def test_no_time_scale_is_told_from_none_said() -> None:
    assert _read(_movie(_track(timescale=0))).tracks[0].timescale == 0
    assert _read(_movie(_box(b"trak"))).tracks[0].timescale is None


@pytest.mark.parametrize(
    ("entry", "external"),
    [
        (_box(b"url ", _words(0), b"file:///etc/passwd\0"), True),
        (_box(b"urn ", _words(0), b"urn:a\0"), True),
        (_box(b"alis", _words(0), bytes(10), b"volume"), True),
        (_box(b"url ", _words(1)), False),
        (_box(b"url ", _words(0)), False),
        (_box(b"alis", _words(1), bytes(150)), False),
    ],
)
def test_references_out_of_the_file(entry: bytes, external: bool) -> None:
    assert _read(_movie(_track(dref=entry))).tracks[0].is_external is external


def test_a_reference_movie_is_external() -> None:
    assert any(t.is_external for t in _read(_movie(_box(b"rmra"))).tracks)


def test_an_open_length_is_none() -> None:
    assert _read(_movie(_track(), duration=2**32 - 1)).movie_s is None
    assert _read(_movie(_track(), duration=2**32 - 2)).movie_s == pytest.approx(4294967.294)


ZIP = b"PK\x03\x04\x14\0\0\0\0\0"


@pytest.mark.parametrize(
    ("tail", "carries"),
    [
        (ZIP, True),
        (bytes(5000) + ZIP, True),
        (_box(b"free", bytes(600_000), ZIP), True),
        (_box(b"free", bytes((1 << 18) - 3), b"<!DocType HTML>"), True),  # across two chunks
        (_box(b"skip", b"<HTML>"), True),
        (_box(b"junk", b"<?php 1;"), True),
        (b"Rar!\x1a\x07\x00", True),
        (bytes(5000), False),
        (_box(b"free", b"0" * 1832), False),
        (_box(b"uuid", bytes(16), b"<?xpacket begin=''?><x:xmpmeta/>"), False),
        (b"8db42d694ccc418790edff439fe026bf", False),  # the mark that ends some cameras' own notes
        (_words(1 << 20) + b"mdat" + ZIP, False),  # cut off, which is another fault
    ],
)
def test_files_in_free_space(tail: bytes, carries: bool) -> None:
    assert _read(_movie(_track()) + tail).carries_file is carries


def test_free_space_within_the_header_is_looked_through() -> None:
    assert _read(_movie(_track(), _box(b"free", b"<script>"))).carries_file


@pytest.mark.parametrize("kind", [b"free", b"hoov"])
def test_a_header_under_another_name_is_read(kind: bytes) -> None:
    assert _read(_movie(_track(timescale=0)).replace(b"moov", kind)).tracks[0].timescale == 0


def test_a_box_without_a_readable_name_hides_nothing() -> None:
    assert _read(_box(b"\x01\x02\x03\x04", bytes(8)) + _movie(_track())).movie_s == 1.0


def test_a_64_bit_size_and_a_last_box_without_one() -> None:
    wide = _words(1) + b"free" + (16 + 6).to_bytes(8, "big") + b"<html>"
    assert _read(_movie(_track()) + wide).carries_file
    assert _read(_movie(_track()) + _words(0) + b"free" + b"<html>").carries_file


def test_depth_and_number_of_boxes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = b""
    for _ in range(3000):
        nested = _box(b"moov", nested)
    assert _read(nested).tracks == []
    monkeypatch.setattr(boxes, "MAX_BOXES", 100)
    with pytest.raises(boxes.TooManyBoxes):
        _read(_box(b"free") * 101)


KINDS = (b"moov", b"trak", b"mdia", b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"dref", b"stsd", b"stts", b"free", b"mdat")
PIECES = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda size, kind: size.to_bytes(4, "big") + kind, st.integers(0, 2**32 - 1), st.sampled_from(KINDS)),
    st.builds(lambda kind, body: _box(kind, body), st.sampled_from(KINDS), st.binary(max_size=60)),
)


@given(st.lists(PIECES, max_size=12).map(b"".join))
@example(b"")
@example(_movie(_track()))
def test_no_bytes_upset_it(data: bytes) -> None:
    claims = _read(data)
    nested = _read(_box(b"moov", _box(b"trak", data)))
    assert claims.movie_s is None or claims.movie_s >= 0
    assert len(nested.tracks) >= 1


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 2))
def test_every_claim_is_read_back(width: int, height: int, timescale: int, duration: int) -> None:
    claims = _read(_movie(_track(timescale=timescale, size=(width, height), coded=(0, 0)), duration=duration))
    assert claims.tracks[0].pixels == width * height
    assert claims.tracks[0].timescale == timescale
    assert claims.movie_s == duration / 1000


def test_mutants_of_a_real_file_end_soon(media_dir: Path, tmp_path: Path) -> None:
    base = media_dir / "bad/fuzz_base_pub.mp4"
    recipe = [sys.executable, str(media_dir / "bad/fuzz/make_fuzz.py"), str(base), str(tmp_path), "141", "200"]
    subprocess.run(recipe, check=True)
    mutants = [p.read_bytes() for p in sorted(tmp_path.iterdir())]
    assert len(mutants) == 60
    for seed in range(140):
        dice = random.Random(seed)
        data = bytearray(base.read_bytes())
        for _ in range(1 + seed * 4):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        mutants.append(bytes(data))
    for data in mutants:
        assert len(_read(data).tracks) < 10
