"""Hostile and broken files: refused with a typed error in time and in little memory, or dubbed as what they are."""

from __future__ import annotations

import ctypes
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dubline.errors import DublineError, InputError, MediaError
from dubline.media import argv
from dubline.media.extract import extract_bed, extract_speech
from dubline.media.ffmpeg import ffmpeg_path
from dubline.media.mux import mux
from dubline.media.probe import check_dubbable, probe
from dubline.media.runner import run_ffmpeg
from dubline.media.scratch import Scratch
from dubline.settings import Settings

_ROOT = Path(__file__).parents[2]
_MAX_RSS_BYTES = 300_000_000

EXPECTED = {
    "absurd_dims_65535_pub.mp4": "media_limits",
    "absurd_duration_pub.mp4": "media_limits",
    "appended_zip_pub.mp4": "media_unsupported",
    "dref_external_passwd_pub.mp4": "media_unsupported",
    "ffconcat.mp4": "media_unsupported",
    "ffconcat_sibling.mp4": "media_unsupported",
    "fuzz_base_pub.mp4": "dubbed",
    "hls_other_user_ts.mp4": "media_unsupported",
    "hls_passwd.mp4": "media_unsupported",
    "hls_ssrf_localhost.mp4": "media_unsupported",
    "mkv_attachment_traversal.mkv": "media_unsupported",
    "moov_only_pub.mp4": "media_unreadable",
    "png_named.mp4": "media_unsupported",
    "polyglot_html_pub.mp4": "media_unsupported",
    "real_16k_picture.mp4": "media_limits",
    "secret_of_other_user.ts": "dubbed",
    "self_nested_moov_pub.mp4": "media_unreadable",
    "silence_10h.flac": "media_limits",
    "stsz_huge_count_pub.mp4": "media_unreadable",
    "stts_zero_delta_pub.mp4": "media_unreadable",
    "text.mp4": "media_unsupported",
    "truncated_100bytes_pub.mp4": "media_unreadable",
    "truncated_half_pub.mp4": "media_unreadable",
    "truncated_moov_missing_pub.mp4": "media_unreadable",
    "wav_absurd_header.wav": "media_unreadable",
    "zero_bytes.mp4": "media_unreadable",
    "zero_timescale_pub.mp4": "media_unreadable",
    "zip_named.mp4": "media_unsupported",
}

# Runs apart, so that the peak memory is that of its own children.
_PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from dubline.errors import DublineError
from dubline.media.probe import check_dubbable, probe
from dubline.settings import Settings
for name in sys.argv[1:]:
    start_s = time.monotonic()
    code, message, details = "dubbed", "", {}
    try:
        check_dubbable(probe(Path(name), Settings()))
    except DublineError as error:
        code, message, details = error.code, error.message, error.details
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    row = dict(name=name, code=code, message=message, details=details, seconds=time.monotonic() - start_s, peak=peak)
    print(json.dumps(row))
"""


def _examine(paths: list[Path]) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, paths)], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(r["name"]).name: r for r in rows}


@pytest.fixture(scope="module")
def answers(media_dir: Path) -> dict[str, dict[str, Any]]:
    return _examine([media_dir / "bad" / name for name in EXPECTED])


def test_the_table_names_every_bad_file(media_dir: Path) -> None:
    found = {p.name for p in (media_dir / "bad").iterdir() if p.is_file()}
    assert found - {"names.json", "spaces_10MB.mp4.gen"} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_bad_file_ends_rightly(answers: dict[str, dict[str, Any]], name: str) -> None:
    row = answers[name]
    assert row["code"] == EXPECTED[name], row
    assert row["seconds"] < 10
    assert row["peak"] < _MAX_RSS_BYTES
    assert "/" not in row["message"]
    assert row["message"].count(".") <= 1


def test_limits_say_which_and_by_how_much(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["real_16k_picture.mp4"]["details"] == {
        "limit": "pixels",
        "value": 15360 * 8640,
        "max": Settings().max_pixels,
    }
    assert answers["silence_10h.flac"]["details"]["limit"] == "duration_s"
    assert answers["silence_10h.flac"]["details"]["value"] == 36_000
    assert answers["absurd_dims_65535_pub.mp4"]["details"] == {
        "limit": "pixels",
        "value": 65535**2,
        "max": Settings().max_pixels,
    }
    assert answers["absurd_duration_pub.mp4"]["details"] == {
        "limit": "duration_s",
        "value": pytest.approx(2_147_483.6),
        "max": Settings().max_duration_s,
    }


def test_each_trick_is_called_by_its_name(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["dref_external_passwd_pub.mp4"]["message"] == "This file refers to another file."
    for name in ("appended_zip_pub.mp4", "polyglot_html_pub.mp4"):
        assert answers[name]["message"] == "This file carries another file along."
    assert "attachment" in answers["mkv_attachment_traversal.mkv"]["message"]
    assert "clock" in answers["zero_timescale_pub.mp4"]["message"]
    assert "clock" in answers["stts_zero_delta_pub.mp4"]["message"]


def test_a_forged_length_is_measured_not_believed(media_dir: Path, tmp_path: Path) -> None:
    data = bytearray((media_dir / "bad/fuzz_base_pub.mp4").read_bytes())
    at = data.index(b"mvhd") + 20
    assert data[at : at + 4] == (3000).to_bytes(4, "big")
    data[at : at + 4] = (3_600_000).to_bytes(4, "big")
    (tmp_path / "hour.mp4").write_bytes(data)
    assert probe(tmp_path / "hour.mp4", Settings()).duration_s == pytest.approx(3.0, abs=0.05)


def test_a_tag_before_the_boxes_does_not_hide_them(media_dir: Path, tmp_path: Path) -> None:
    """The reader of boxes starts at the first byte: a demuxer that skipped a tag would see what it does not."""
    path = tmp_path / "tagged.mp4"
    path.write_bytes(b"ID3\x04\0\0\0\0\0\0" + (media_dir / "bad/fuzz_base_pub.mp4").read_bytes())
    with pytest.raises(InputError) as caught:
        probe(path, Settings())
    assert caught.value.code == "media_unreadable"


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [("Font.ttf", True), ("a..b.ttf", True), ("fonts/Font.ttf", False), ("..\\Font.ttf", False), ("..", False)],
)
def test_fonts_may_be_attached_under_plain_names(media_dir: Path, tmp_path: Path, name: str, is_taken: bool) -> None:
    (tmp_path / "font").write_bytes(bytes(100))
    words = ["-i", f"file:{media_dir / 'bad/fuzz_base_pub.mp4'}", "-c", "copy", "-attach", "file:font"]
    words += ["-metadata:s:t", f"filename={name}", "-metadata:s:t", "mimetype=font/ttf", "-f", "matroska"]
    run_ffmpeg([*words, "file:out.mkv"], deadline_s=60.0, cwd=tmp_path)
    if is_taken:
        assert any(s.kind == "attachment" for s in probe(tmp_path / "out.mkv", Settings()).streams)
    else:
        with pytest.raises(InputError, match="attachment"):
            probe(tmp_path / "out.mkv", Settings())


@pytest.mark.parametrize("start_s", [10.0, 41.23])
def test_a_cut_without_encoding_has_sound(media_dir: Path, tmp_path: Path, start_s: float) -> None:
    cut = tmp_path / "cut.mp4"
    talk = media_dir / "video/compilation_real_3min.mp4"
    seek = ["-v", "error", "-ss", str(start_s), "-i", str(talk), "-t", "9", "-c", "copy", str(cut)]
    subprocess.run([ffmpeg_path(), *seek], check=True)
    info = probe(cut, Settings())
    assert [s.is_decodable for s in info.streams if s.kind == "audio"] == [True]


def test_ten_mebibytes_of_zeros(tmp_path: Path) -> None:
    path = tmp_path / "zeros.mp4"
    path.write_bytes(bytes(10 * 1024**2))
    assert _examine([path])["zeros.mp4"]["code"] == "media_unsupported"


def test_encrypted_and_undecodable_files_are_told_apart(media_dir: Path) -> None:
    rows = _examine([media_dir / "video/odd" / n for n in ("ax_widevine_encrypted.mp4", "ax_mpegh.mp4", "ax_vvc.mp4")])
    assert [r["code"] for r in rows.values()] == ["media_encrypted", "audio_undecodable", "no_audio_track"]


def test_bombs_of_streams_and_frames(tmp_path: Path) -> None:
    streams = [w for _ in range(40) for w in ("-map", "0:a")]
    tone = ["-f", "lavfi", "-i", "sine=d=1:r=8000"]
    run_ffmpeg([*tone, *streams, "-f", "matroska", "file:streams.mkv"], deadline_s=60.0, cwd=tmp_path)
    fast = ["-f", "lavfi", "-i", "color=s=16x16:r=1000:d=3", *tone, "-c:v", "mpeg4"]
    run_ffmpeg([*fast, "-f", "matroska", "file:frames.mkv"], deadline_s=60.0, cwd=tmp_path)
    rows = _examine([tmp_path / "streams.mkv", tmp_path / "frames.mkv"])
    assert {n: (r["code"], r["details"]["limit"]) for n, r in rows.items()} == {
        "streams.mkv": ("media_limits", "streams"),
        "frames.mkv": ("media_limits", "fps"),
    }
    assert all(r["peak"] < _MAX_RSS_BYTES for r in rows.values())


def test_size_and_kind_are_checked_before_any_parser(media_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        probe(media_dir / "bad/fuzz_base_pub.mp4", Settings(max_upload_bytes=1000))
    assert caught.value.details == {"limit": "size_bytes", "value": 21153, "max": 1000}
    os.mkfifo(tmp_path / "pipe.mp4")
    writer = os.open(tmp_path / "pipe.mp4", os.O_RDWR)
    with pytest.raises(InputError, match="regular"):
        probe(tmp_path / "pipe.mp4", Settings())
    os.close(writer)
    with pytest.raises(InputError):
        probe(tmp_path, Settings())


class Canary:
    """A file that must not be opened and a server that must not be called."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "secret.ts"
        self.hits = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)

    def arm(self) -> None:
        """Count openings from now on."""
        in_open = 0x20
        assert self._libc.inotify_add_watch(self._watch, os.fsencode(self.file), in_open) >= 0

    @property
    def opened(self) -> bool:
        try:
            return bool(os.read(self._watch, 4096))
        except BlockingIOError:
            return False

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.hits += 1
            connection.close()

    def close(self) -> None:
        self._server.close()
        os.close(self._watch)


@contextmanager
def _canary(media_dir: Path, folder: Path) -> Iterator[Canary]:
    canary = Canary(folder)
    canary.file.write_bytes((media_dir / "bad/secret_of_other_user.ts").read_bytes())
    canary.arm()
    try:
        yield canary
    finally:
        canary.close()


def _playlists(file: Path, port: int) -> dict[str, bytes]:
    url = f"http://127.0.0.1:{port}"
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:3,\n{}\n#EXT-X-ENDLIST\n"
    texts = {
        "hls_file": hls.format(f"file://{file}"),
        "hls_path": hls.format(file),
        "hls_sibling": hls.format(file.name),
        "hls_http": hls.format(f"{url}/a.ts"),
        "hls_concat": hls.format(f"concat:{file}|{file}"),
        "hls_subfile": hls.format(f"subfile,,start,0,end,9999,,:{file}"),
        "hls_key": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}/key"\n#EXTINF:3,\n{file}\n#EXT-X-ENDLIST\n',
        "hls_map": f'#EXTM3U\n#EXT-X-MAP:URI="{url}/init"\n#EXTINF:3,\n{file}\n#EXT-X-ENDLIST\n',
        "hls_master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}/low.m3u8\n",
        "hls_bom": "\ufeff" + hls.format(f"file://{file}"),
        "concat": f"ffconcat version 1.0\nfile '{file}'\n",
        "concat_sibling": f"ffconcat version 1.0\nfile {file.name}\n",
        "concat_http": f"ffconcat version 1.0\nfile '{url}/a.ts'\n",
        "dash": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period><AdaptationSet>"
        f"<Representation id='1' bandwidth='1'><BaseURL>{url}/a.mp4</BaseURL></Representation></AdaptationSet>"
        "</Period></MPD>",
        "sdp": f"v=0\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video {port} RTP/AVP 96\r\n",
        "smil": f"<smil><body><video src='{url}/a.mp4'/></body></smil>",
        "asx": f"<asx version='3.0'><entry><ref href='{url}/a.asf'/></entry></asx>",
        "pls": f"[playlist]\nFile1={url}/a.mp3\nNumberOfEntries=1\n",
        "rtsp_ref": f"[Reference]\nRef1={url}/a.asf\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def test_the_canaries_sing(media_dir: Path, tmp_path: Path) -> None:
    """Without the whitelists ffmpeg does open the file and does call the server: the tests below can fail."""
    with _canary(media_dir, tmp_path) as canary:
        (tmp_path / "in0").write_bytes(_playlists(canary.file, canary.port)["concat"])
        words = ["-f", "concat", "-safe", "0", "-i", "file:in0", "-f", "null", "-"]
        run_ffmpeg(words, deadline_s=30.0, cwd=tmp_path)
        assert canary.opened
        words = ["-i", f"http://127.0.0.1:{canary.port}/x", "-f", "null", "-"]
        with pytest.raises(MediaError):
            run_ffmpeg(words, deadline_s=30.0, cwd=tmp_path)
        assert canary.hits > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="openings are watched by inotify")
def test_no_playlist_opens_a_file_or_calls_a_server(media_dir: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with _canary(media_dir, tmp_path) as canary:
        texts = _playlists(canary.file, canary.port)
        assert len(texts) > 10
        for name, text in texts.items():
            path = tmp_path / f"{name}.mp4"
            path.write_bytes(text)
            with pytest.raises(InputError) as caught:
                probe(path, Settings())
            assert caught.value.code == "media_unsupported"
            # Behind the first bytes stands the demuxers' own whitelist, in ffmpeg and in the probe's child.
            with Scratch(work) as scratch:
                words = argv.arguments(argv.nowhere([argv.source(scratch.link(path))["0"]]))
                with pytest.raises(MediaError):
                    run_ffmpeg(words, deadline_s=30.0, cwd=scratch.path)
            disguised = tmp_path / f"{name}_id3.mp3"
            disguised.write_bytes(b"ID3\x04\0\0\0\0\0\0" + text)
            with pytest.raises(InputError):
                probe(disguised, Settings())
        time.sleep(0.2)
        assert not canary.opened
        assert canary.hits == 0


def _dub(source: Path, work: Path) -> str:
    """Take a file through everything that reads it; the code of the typed error, or `dubbed`."""
    try:
        info = probe(source, Settings())
        check_dubbable(info)
        bed = work / "bed.wav"
        track = next(s for s in info.audio if s.is_decodable)
        extract_speech(source, info, track.index, work / "stt.wav", work_dir=work)
        extract_bed(source, info, track.index, bed, work_dir=work)
        done = mux(source, info, bed, work_dir=work, target_language="es")
    except DublineError as error:
        return error.code
    assert done.path.stat().st_size > 0
    return "dubbed"


@pytest.mark.parametrize("name", [n for n, code in EXPECTED.items() if code == "dubbed"])
def test_what_is_let_in_can_be_dubbed(media_dir: Path, tmp_path: Path, name: str) -> None:
    assert _dub(media_dir / "bad" / name, tmp_path) == "dubbed"


def _flipped(base: bytes, seed: int) -> bytes:
    """Bits flipped at random, over the whole file or in its index only, more of them with every seed."""
    dice = random.Random(seed)
    data = bytearray(base)
    box = base.index(b"moov") - 4
    low, high = (0, len(base)) if seed <= 100 else (box + 8, box + int.from_bytes(base[box : box + 4], "big"))
    ratio = 0.0001 * 200 ** ((seed - 1) / 99) if seed <= 100 else 0.002 * 25 ** ((seed - 101) / 39)
    for _ in range(max(1, int((high - low) * 8 * ratio))):
        data[dice.randrange(low, high)] ^= 1 << dice.randrange(8)
    return bytes(data)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_hundred_mutants_end_in_a_typed_error_or_a_dub(media_dir: Path, tmp_path: Path) -> None:
    base = media_dir / "bad/fuzz_base_pub.mp4"
    folder = tmp_path / "mutants"
    recipe = [sys.executable, str(media_dir / "bad/fuzz/make_fuzz.py"), str(base), str(folder), "141", "200"]
    subprocess.run(recipe, check=True)  # the recipe's other mutants need a program that is seldom installed
    for seed in range(1, 141):
        (folder / f"flip_{seed:03d}.mp4").write_bytes(_flipped(base.read_bytes(), seed))
    counts: dict[str, int] = {}
    slowest_s = 0.0
    for path in sorted(folder.iterdir()):
        start_s = time.monotonic()
        code = _dub(path, tmp_path / "work")
        slowest_s = max(slowest_s, time.monotonic() - start_s)
        counts[code] = counts.get(code, 0) + 1
    assert sum(counts.values()) == 200
    assert slowest_s < 15
    assert set(counts) <= {
        "dubbed",
        "media_unreadable",
        "media_unsupported",
        "media_limits",
        "media_encrypted",
        "media_failed",
        "no_audio_track",
        "audio_undecodable",
        "media_too_short",
    }, counts
