"""What a file is, by its first bytes: only containers are let through to a demuxer."""

from __future__ import annotations

_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx"}
_SIMPLE = {
    b"FLV\x01": "flv",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"0&\xb2u": "asf",
    b"riff": "w64",
    b"\x1aE\xdf\xa3": "matroska",
    b"\x00\x00\x01\xba": "mpeg",
    b"\x00\x00\x01\xb3": "mpeg",
}


def container(head: bytes) -> str | None:
    """Name of the container that the first bytes announce (600 or more are looked at), or None."""
    if len(head) < 12:
        return None
    if head[4:8] in _BOXES:
        return "mov"
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] in (b"AVI ", b"WAVE"):
        return "avi" if head[8:12] == b"AVI " else "wav"
    if head[:4] in _SIMPLE:
        return _SIMPLE[head[:4]]
    if head[:3] == b"ID3":
        return "mp3"
    for period, first in ((188, 0), (192, 4)):
        marks = head[first::period][:3]
        if len(marks) >= 2 and all(mark == 0x47 for mark in marks):
            return "mpegts"
    if head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    if head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[2] & 0xF0 != 0xF0:
        return "mp3"
    return None
