"""Hostile and broken files through the command itself: one typed sentence, soon, and nothing left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

# Every file of the folder, with the code that answers to what it is. The two that are absent are whole videos: the
# base of the mutants, and the one that the playlists would like to read.
REFUSED = {
    "absurd_dims_65535_pub.mp4": "media_limits",
    "absurd_duration_pub.mp4": "media_limits",
    "appended_zip_pub.mp4": "media_unsupported",
    "dref_external_passwd_pub.mp4": "media_unsupported",
    "ffconcat.mp4": "media_unsupported",
    "ffconcat_sibling.mp4": "media_unsupported",
    "hls_other_user_ts.mp4": "media_unsupported",
    "hls_passwd.mp4": "media_unsupported",
    "hls_ssrf_localhost.mp4": "media_unsupported",
    "mkv_attachment_traversal.mkv": "media_unsupported",
    "moov_only_pub.mp4": "media_unreadable",
    "png_named.mp4": "media_unsupported",
    "polyglot_html_pub.mp4": "media_unsupported",
    "real_16k_picture.mp4": "media_limits",
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


def _dub(path: Path, home: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], float]:
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "dubline", "dub", str(path), "--to", "pt-BR", "--json", *options],
        env={**os.environ, "DUBLINE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, time.monotonic() - began_s


def _files(home: Path) -> set[str]:
    """What lies in the state folder, but for the server's own."""
    return {
        str(p.relative_to(home)) for p in home.rglob("*") if p.is_file() and "prefect" not in p.relative_to(home).parts
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_bad_files_end_in_one_typed_sentence(name: str, media_dir: Path, home: Path, tmp_path: Path) -> None:
    source = tmp_path / name
    source.write_bytes((media_dir / "bad" / name).read_bytes())
    done, seconds = _dub(source, home)
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 2
    assert error["code"] == REFUSED[name]
    assert error["message"].endswith(".")
    assert "\n" not in error["message"]
    assert str(tmp_path) not in done.stdout
    assert seconds < 10
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert _files(home) == set()


def test_the_table_names_every_bad_file(media_dir: Path) -> None:
    found = {p.name for p in (media_dir / "bad").iterdir() if p.suffix not in {"", ".json", ".gen"}}
    assert found - set(REFUSED) == {"fuzz_base_pub.mp4", "secret_of_other_user.ts"}


def test_a_folder_and_a_missing_file_are_refused(home: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.mp4"):
        done, _ = _dub(path, home)
        assert done.returncode == 2
        assert json.loads(done.stdout)["error"]["code"] == "source_missing"


def test_ten_megabytes_of_nothing(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "spaces.mp4"
    source.write_bytes(bytes(10 * 1024 * 1024))
    done, seconds = _dub(source, home)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "media_unsupported")
    assert seconds < 10


def test_a_playlist_reaches_no_server(home: Path, tmp_path: Path) -> None:
    hits: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.2)
        port = canary.getsockname()[1]
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    hits.append(canary.accept()[1])
                except TimeoutError:
                    continue

        listener = threading.Thread(target=listen)
        listener.start()
        source = tmp_path / "talk.mp4"
        source.write_text(f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n")
        done, _ = _dub(source, home)
        ended.set()
        listener.join()
    assert done.returncode == 2
    assert hits == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--from", "ja"), "language_pair_unsupported"),
        (("--from", "pt"), "same_language"),
        (("--voice", "nobody"), "voice_unknown"),
        (("--tts", "festival"), "engine_unknown"),
        (("--stt-model", "enormous"), "engine_unavailable"),
        (("--background", "loud"), "option_invalid"),
        (("--from", "klingonese"), "language_unknown"),
        (("--glossary", "noequals"), "option_invalid"),
    ],
)
def test_bad_options_are_refused_at_the_door(
    options: tuple[str, ...], code: str, media_dir: Path, home: Path, tmp_path: Path
) -> None:
    source = tmp_path / "talk.mp4"
    source.write_bytes((media_dir / "video/real_friday_6s.mp4").read_bytes())
    done, seconds = _dub(source, home, *options)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (2, code)
    assert error["hint"]
    assert seconds < 10
    assert _files(home) == set()
