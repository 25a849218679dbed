"""What the header boxes of an MP4 or MOV file claim (ISO/IEC 14496-12), and whether its free space hides another file.

Reads only, follows nothing, and is bounded in depth, in the number of boxes and in memory, whatever the bytes say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_BOXES = 400_000
_MAX_DEPTH = 8
_CHUNK_BYTES = 1 << 18
_DREF_BYTES = 1 << 16
_PARENTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"})
_TOP = frozenset(
    b"ftyp styp moov mdat moof mfra sidx ssix uuid meta meco udta pdin emsg prft imda pnot PICT".split(b" ")
)
_FREE = frozenset({b"free", b"skip", b"wide"})
_HEADER_ALIASES = frozenset({b"free", b"hoov"})  # where demuxers look for a header that was put away
# Archives, programs, documents and pages that run from the middle of a file; in lower case, as they are compared.
_MARKS = (
    *(b"pk\x03\x04" + bytes([version]) + b"\0" for version in (10, 20, 45, 51, 63)),
    *(b"rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"%pdf-1.", b"%pdf-2.", b"\x7felf\x01\x01\x01", b"\x7felf\x02\x01\x01"),
    *(b"<html", b"<!doctype html", b"<script", b"<?php", b"<iframe"),
)
_OVERLAP_BYTES = max(map(len, _MARKS)) - 1


class TooManyBoxes(Exception):
    """The file has more than `MAX_BOXES` boxes."""


@dataclass
class Track:
    """Claims about one track; None where nothing is said."""

    handler: str = ""
    timescale: int | None = None
    pixels: int = 0
    """The larger of the size on the screen and the size in the sample description, width times height."""
    samples: int = 0
    has_ticks: bool = False
    """Whether any of the samples takes time."""
    is_external: bool = False
    """Whether its samples are said to lie in another file."""


@dataclass
class Claims:
    """What the boxes say. `movie_s` is the length in the movie header, in seconds; None when it is left open."""

    movie_s: float | None = None
    tracks: list[Track] = field(default_factory=list)
    carries_file: bool = False
    """Whether free space, or what follows the last box, holds an archive, a program, a document or a page."""


def read(file: BinaryIO, size_bytes: int) -> Claims:
    """Collect the claims of a seekable file of `size_bytes`; damage ends the search, it raises nothing.

    Raises:
        TooManyBoxes: more than `MAX_BOXES`.
    """
    reader = _Reader(file)
    reader.walk(0, size_bytes, 0, Track())
    return reader.claims


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._boxes = 0
        self.claims = Claims()

    def _bytes(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(max(0, count))

    def walk(self, start: int, end: int, depth: int, track: Track) -> None:
        """Read the boxes from `start` up to `end`, both in bytes; what is no box is looked through as free space."""
        at = start
        for kind, body, at_end in self._children(start, end):
            if kind in _HEADER_ALIASES and self._bytes(body + 4, 4) == b"mvhd":
                kind = b"moov"
            if kind in _FREE or (depth == 0 and kind not in _TOP):
                self._look_for_files(at, at_end)
            elif kind in _PARENTS and depth < _MAX_DEPTH:
                if kind == b"trak":
                    track = Track()
                    self.claims.tracks.append(track)
                self.walk(body, at_end, depth + 1, track)
            elif kind in _LEAVES:
                _LEAVES[kind](self, body, at_end, track)
            at = at_end
        if depth == 0:
            self._look_for_files(at, end)

    def _children(self, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """(kind, start of the body, end) of each box; a box that is cut off ends with its parent."""
        while at + 8 <= end:
            head = self._bytes(at, 16)
            size, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
            if size == 1:
                size, header = int.from_bytes(head[8:16], "big"), 16
            elif size == 0:
                size = end - at
            if size < header or len(head) < header:
                return
            self._boxes += 1
            if self._boxes > MAX_BOXES:
                raise TooManyBoxes
            yield kind, min(at + header, end), min(at + size, end)
            at += size

    def _look_for_files(self, at: int, end: int) -> None:
        while at < end and not self.claims.carries_file:
            text = self._bytes(at, min(end - at, _CHUNK_BYTES)).lower()
            if not text:
                return
            self.claims.carries_file = any(mark in text for mark in _MARKS)
            at += len(text) if at + len(text) >= end else max(1, len(text) - _OVERLAP_BYTES)

    def _mvhd(self, at: int, end: int, track: Track) -> None:
        timescale, duration = self._clock(at, end)
        if timescale and duration is not None:
            self.claims.movie_s = max(self.claims.movie_s or 0.0, duration / timescale)

    def _mdhd(self, at: int, end: int, track: Track) -> None:
        track.timescale = self._clock(at, end)[0]

    def _clock(self, at: int, end: int) -> tuple[int | None, int | None]:
        """Time scale (ticks a second) and duration (ticks; None when all ones) of a movie or media header."""
        body = self._bytes(at, min(end - at, 32))
        first, width = (20, 8) if body[:1] == b"\1" else (12, 4)
        if len(body) < first + 4 + width:
            return None, None
        duration = int.from_bytes(body[first + 4 : first + 4 + width], "big")
        return int.from_bytes(body[first : first + 4], "big"), None if duration == 256**width - 1 else duration

    def _tkhd(self, at: int, end: int, track: Track) -> None:
        body = self._bytes(at, min(end - at, 96))
        last = 96 if body[:1] == b"\1" else 84
        if len(body) >= last:
            width, height = (int.from_bytes(body[last - n : last - n + 4], "big") >> 16 for n in (8, 4))
            track.pixels = max(track.pixels, width * height)

    def _stsd(self, at: int, end: int, track: Track) -> None:
        """The first entry only: its size stands at the same place in every kind of picture (section 12.1.3)."""
        body = self._bytes(at, min(end - at, 44))
        if len(body) == 44 and track.handler == "vide":
            pixels = int.from_bytes(body[40:42], "big") * int.from_bytes(body[42:44], "big")
            track.pixels = max(track.pixels, pixels)

    def _hdlr(self, at: int, end: int, track: Track) -> None:
        kind = self._bytes(at, min(end - at, 12))[8:12].decode("latin-1")
        # In QuickTime a second one, inside `minf`, names the handler of the data reference.
        track.handler = track.handler or kind

    def _dref(self, at: int, end: int, track: Track) -> None:
        # 65536 bytes hold more references than any file has tracks.
        end = min(end, at + _DREF_BYTES)
        for _, body, body_end in self._children(at + 8, end):
            flags, place = self._bytes(body, 4), self._bytes(body + 4, body_end - body - 4)
            if len(flags) == 4 and not flags[3] & 1 and place.strip(b"\0"):
                track.is_external = True

    def _rmra(self, at: int, end: int, track: Track) -> None:
        """A QuickTime reference movie: a list of other files to play."""
        self.claims.tracks.append(Track(is_external=True))

    def _stts(self, at: int, end: int, track: Track) -> None:
        rows = min(int.from_bytes(self._bytes(at + 4, 4), "big"), max(0, end - at - 8) // 8)
        at += 8
        while rows and not track.has_ticks:
            body = self._bytes(at, min(rows * 8, _CHUNK_BYTES))
            if len(body) < 8:
                return
            for i in range(0, len(body) - 7, 8):
                count = int.from_bytes(body[i : i + 4], "big")
                track.samples += count
                if count and any(body[i + 4 : i + 8]):
                    track.has_ticks = True
                    break
            rows -= len(body) // 8
            at += len(body)


_LEAVES = {
    b"mvhd": _Reader._mvhd,
    b"tkhd": _Reader._tkhd,
    b"mdhd": _Reader._mdhd,
    b"hdlr": _Reader._hdlr,
    b"dref": _Reader._dref,
    b"stsd": _Reader._stsd,
    b"stts": _Reader._stts,
    b"rmra": _Reader._rmra,
}
