"""Which audio track is dubbed."""

from __future__ import annotations

from dubline.models import MediaInfo, StreamInfo
from dubline.stages.ingest import choose_audio


def _media(*tracks: tuple[str | None, bool]) -> MediaInfo:
    streams = tuple(
        StreamInfo(index=i, kind="audio", codec="aac", language=tag, is_default=default, packets=9)
        for i, (tag, default) in enumerate(tracks)
    )
    return MediaInfo(container="mp4", size_bytes=1, duration_s=1.0, streams=streams)


def test_the_asked_language_wins_over_the_default_track() -> None:
    media = _media(("por", True), ("eng", False))
    assert choose_audio(media, source_language="en", target_language="es") == 1


def test_a_default_track_already_in_the_target_language_is_passed_over() -> None:
    media = _media(("por", True), ("eng", False))
    assert choose_audio(media, source_language=None, target_language="pt-BR") == 1
    assert choose_audio(media, source_language=None, target_language="es") == 0


def test_untagged_tracks_keep_the_default() -> None:
    assert choose_audio(_media((None, False), (None, True)), source_language="en", target_language="pt-BR") == 1
