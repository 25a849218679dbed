"""ingest: a file becomes a stored source with what is known of it; what cannot be dubbed is refused here."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from dubline.errors import ArtifactMissing, InputError
from dubline.languages import from_tag, same_language
from dubline.media.probe import check_dubbable, probe
from dubline.models import ArtifactRef, Frozen, MediaInfo
from dubline.settings import Settings
from dubline.storage.base import ArtifactStore

_STORED = re.compile(r"artifact:blobs/([0-9a-f]{2})/(\1[0-9a-f]{62})\?size=([0-9]{1,15})")
_MEDIA_TYPE = "application/octet-stream"


class Ingested(Frozen):
    source: ArtifactRef
    media: MediaInfo


def locate(uri: str) -> Path | ArtifactRef:
    """What a source URI names: a local file, or an object of the store (which may be gone).

    Raises:
        InputError: `source_scheme`, or `source_missing` when there is no such file.
    """
    stored = _STORED.fullmatch(uri)
    if stored is not None:
        return ArtifactRef(
            uri=uri.partition("?")[0], sha256=stored[2], size_bytes=int(stored[3]), media_type=_MEDIA_TYPE
        )
    parts = urlsplit(uri)
    path = Path(os.fsdecode(unquote_to_bytes(parts.path)))
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise InputError(
            "Only local and stored files can be read here.", code="source_scheme", hint="Give a file's path."
        )
    if not path.is_file():
        raise InputError("The video file does not exist.", code="source_missing", hint="Check the path.")
    return path


def ingest(source: Path | ArtifactRef, store: ArtifactStore, settings: Settings) -> Ingested:
    """Probe under the limits, then store what is not stored yet.

    Raises:
        InputError: the file is no media, is broken, is over a limit or has no audio; `source_missing` when a stored
            one is gone.
    """
    try:
        path = store.fetch(source) if isinstance(source, ArtifactRef) else source
    except ArtifactMissing as error:
        # The store's own advice, to run the job again, would not bring a person's file back.
        raise InputError("The stored file is gone.", code="source_missing", hint="Upload it again.") from error
    media = probe(path, settings)
    check_dubbable(media)
    stored = source if isinstance(source, ArtifactRef) else store.put_file(path, _MEDIA_TYPE)
    return Ingested(source=stored, media=media)


def choose_audio(media: MediaInfo, *, source_language: str | None, target_language: str | None) -> int:
    """Index of the audio stream to dub, or to listen to (no target language).

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
        if tag is None or target_language is None or not same_language(tag, target_language):
            return track.index
    return ordered[0].index
