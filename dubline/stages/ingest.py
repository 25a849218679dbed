"""ingest: a file becomes a stored source with what is known of it; what cannot be dubbed is refused here."""

from __future__ import annotations

from pathlib import Path

from dubline.languages import from_tag, same_language
from dubline.media.probe import check_dubbable, probe
from dubline.models import ArtifactRef, Frozen, MediaInfo
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore


class Ingested(Frozen):
    source: ArtifactRef
    media: MediaInfo


def ingest(path: Path, store: ArtifactStore, settings: Settings) -> Ingested:
    """Probe under the limits, then store.

    Raises:
        InputError: the file is no media, is broken, is over a limit or has no audio to dub.
    """
    media = probe(path, settings)
    check_dubbable(media)
    return Ingested(source=store.put_file(path, "application/octet-stream"), media=media)


def choose_audio(media: MediaInfo, *, source_language: str | None, target_language: str) -> int:
    """Index of the audio stream to dub.

    An editor takes the track in the language asked for; with no language asked, the default track unless it is
    already in the target language and another one is not.
    """
    tracks = [t for t in media.audio if t.is_decodable] or list(media.audio)
    if source_language is not None:
        for track in tracks:
            tag = from_tag(track.language)
            if tag is not None and same_language(tag, source_language):
                return track.index
    ordered = sorted(tracks, key=lambda t: not t.is_default)
    for track in ordered:
        tag = from_tag(track.language)
        if tag is None or not same_language(tag, target_language):
            return track.index
    return ordered[0].index
