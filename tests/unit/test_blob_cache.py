"""Copies of remote objects: bounded, least recently used first, never what was just asked for."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dubline.models import ArtifactRef
from dubline.storage.cache import BlobCache

_HOUR_S = 3600.0


def _cache_with_three(root: Path, most_bytes: int) -> tuple[BlobCache, list[ArtifactRef]]:
    cache = BlobCache(root, most_bytes)
    refs = [cache.put_bytes(bytes([n]) * 100, "audio/wav") for n in range(3)]
    for hours, ref in zip((4, 3, 2), refs, strict=True):
        _last_used(cache, ref, hours)
    return cache, refs


def _last_used(cache: BlobCache, ref: ArtifactRef, hours: float) -> None:
    path = cache.find(ref)
    assert path is not None
    os.utime(path, (time.time() - hours * _HOUR_S, path.stat().st_mtime))


def test_the_least_recently_used_goes_and_no_more_than_must(tmp_path: Path) -> None:
    cache, refs = _cache_with_three(tmp_path, 250)
    assert cache.trim() == 1
    assert [cache.find(r) is not None for r in refs] == [False, True, True]


def test_what_was_just_asked_for_stays_though_it_is_too_much(tmp_path: Path) -> None:
    cache, refs = _cache_with_three(tmp_path, 0)
    assert BlobCache(tmp_path, 0).find(refs[0]) is not None  # as another process does
    assert cache.trim() == 2
    assert [cache.find(r) is not None for r in refs] == [True, False, False]


def test_what_nobody_wants_for_a_week_goes_though_there_is_room(tmp_path: Path) -> None:
    cache, refs = _cache_with_three(tmp_path, 10**9)
    _last_used(cache, refs[1], 8 * 24)
    assert cache.trim() == 1
    assert cache.find(refs[1]) is None


def test_a_download_that_is_not_the_content_is_not_taken_in(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "a", 10**9)
    ref = BlobCache(tmp_path / "b", 10**9).put_bytes(b"voice", "audio/wav")
    for content, is_right in ((b"vOice", False), (b"voice!", False), (b"voice", True)):
        with cache.temporary() as path:
            path.write_bytes(content)
            assert (cache.adopt(ref, path) is not None) is is_right
        assert (cache.find(ref) is not None) is is_right
    assert [p.name for p in (tmp_path / "a").rglob("*") if p.is_file()] == [ref.sha256]
